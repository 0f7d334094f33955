"""The scenarios, one file per area. Every module here is imported by run.

A scenario is a short function that takes a client.Script and holds a conversation; what the server
says is recorded, nothing is asserted. It names its entities with s.q() and s.x(), waits for each
frame that it causes (call, deliver, expect), and ends a passage in which nothing must come with
fence(). What RabbitMQ does at its own pace (counts just after a publish, requeueing after an error)
is waited for with until_ready(). Scenarios run side by side: of the predeclared exchanges they may
share only direct and topic ones, with keys of their own. After adding one, see that it is the same on two runs against
RabbitMQ, then record the reference again.
"""
