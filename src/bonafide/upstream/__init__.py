"""An API behind a gate that is not Django: the gate's word is compared with the request in hand.

    app.wsgi_app = BonafideWsgi(app.wsgi_app, key_files=["/etc/shop/admission.key"], origins=["https://api.example.com"])
    app = BonafideAsgi(app, key_files=[...], origins=[...])

The middleware stands outermost: what stands before it runs for requests that nobody has judged. The application
finds what the gate said in `environ["bonafide.admission"]` or `scope["bonafide.admission"]`, a `Statement`; its
`sender` is None where nothing was admitted: the route asks for no proof, or only observes.

Where the gate hands the key of an answer on (`statement.answer_key`), the answer goes out sealed, or not at all:
see `bonafide.upstream.sealed_answer`.

What is proven beside what `bonafide.statement.verify` proves: where there is a sender, the body that the application
reads is, to the octet, the one that was signed, unless `sender.digest` is None: a DPoP proof covers no body (nor
query, nor cookies). What is not proven: the use of a statement more than once within its ten
seconds, by somebody who reads what passes between gate and API.
"""
