module upstream

go 1.21

require github.com/rabbitmq/amqp091-go v1.10.0

require go.uber.org/goleak v1.3.0

require (
	github.com/ThreeDotsLabs/watermill v1.3.7 // indirect
	github.com/ThreeDotsLabs/watermill-amqp/v3 v3.0.0
	github.com/cenkalti/backoff/v3 v3.2.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/lithammer/shortuuid/v3 v3.0.7 // indirect
	github.com/oklog/ulid v1.3.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
)
