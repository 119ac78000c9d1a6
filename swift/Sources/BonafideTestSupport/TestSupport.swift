// Software in the place of a phone.
