"""Trust anchors: the certificates that chains must end in, each with its source and its end.

Rule of this package: it holds real roots only. Test anchors live in `bonafide.testing`, and
`require_bundled` is how a production configuration refuses them.
"""

from bonafide.trust.anchor import Anchor, expiring, require_bundled

__all__ = ["Anchor", "expiring", "require_bundled"]
