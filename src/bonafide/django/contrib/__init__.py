"""For projects that use them: Django REST framework and SimpleJWT. Nothing else imports these modules."""
