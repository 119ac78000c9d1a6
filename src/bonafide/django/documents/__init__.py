"""What an app is given after enrolment, as the database keeps it: secrets, configuration, pins, and who got them.

The documents themselves, with their form and refusals, are `bonafide.documents`; who may ask is `own_gate`.
"""
