"""A million signed requests through a real Nginx and a real gate, one in a hundred an attack: `make soak`.

Each request is stored with the verdict that it must get. Nothing that should be refused may be admitted, nothing
that should be admitted refused, and the gate's memory stays level. The seed is printed, and gives the same requests
again in kind and order; keys and times are of the run.
"""
