"""What a gate costs behind a real Nginx, beside what others cost there: `make bench-gate`.

    python -m bench.gate               every contender, in interleaved rounds, with the promises judged
    python -m bench.gate interfaces    which server interface the gate should have
    python -m bench.gate control-plane what enrolments and renewals cost the service and PostgreSQL
    python -m bench.gate projection    from all that: what a million and a hundred million devices would need
    python -m bench.gate page          write the results of all of them, and of `make soak`, into the documentation

Everything listens on loopback only, and is stopped by its process id.
"""
