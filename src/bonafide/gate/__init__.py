"""The data plane on its own: one small callable behind Nginx's `auth_request` and its like, without Django.

A gate needs the service's public keys and gate keys, the route tables, a replay store and the list of
bans; it fetches what changes from the service (`bonafide.provision`) and asks nobody on the way of a request but the
replay store. Every decision is `bonafide.admission.admit`, the same call as in Django's middleware.
"""
