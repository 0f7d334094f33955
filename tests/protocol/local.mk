# Protocol tests: a real daemon on a real socket.
