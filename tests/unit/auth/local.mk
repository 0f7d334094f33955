# Unit tests of src/auth.
