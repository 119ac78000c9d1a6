"""A world to test in, public and shipped, so that a project's own tests can call its locked API.

- `iphone.IPhone`, `simulator.Simulator`: devices in software; `secure_enclave` and `apple` are behind the first.
- `client.AppClient`, `client.AsyncAppClient`: httpx that enrols, renews and signs by itself.
- `pytest_plugin`: the fixtures `bonafide_iphone`, `bonafide_client` and `bonafide_connect`.

Nothing here weakens a service: what these devices show is believed only under test anchors or debug secrets,
and a production configuration that names either does not start. Rule of this file: it imports nothing,
because the modules need different extras.
"""
