# Unit tests of src/broker.
