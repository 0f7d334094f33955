# Unit tests of src/amqp.
