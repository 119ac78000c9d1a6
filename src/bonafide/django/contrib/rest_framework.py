"""Permission classes and a renderer for Django REST framework. They demand what `demands` says, and tighten only.

    class Transfer(APIView):
        permission_classes = [IsAuthenticated, Fresh.of(30), MinimumTier.of(Tier.AFFIRMING)]

A permission raises instead of answering False, so that the refusal is answered as the middleware's are, and so that
no `A | B` turns it into a choice where it stands first. Where it stands second it is one: list it on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer

from bonafide.django import binding, demands, sealed_answers
from bonafide.errors import Misuse
from bonafide.reasons import sealed as sealed_reasons
from bonafide.terms import Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request
    from rest_framework.views import APIView

    from bonafide.django.demands import Demand


class Admitted(BasePermission):
    """Demand an admitted app. A subclass with `strict = True` refuses under `observe` as well."""

    strict: ClassVar[bool] = False

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise as `demands.require`."""
        del view
        demands.require(request._request, self.demand(), strict=self.strict)  # noqa: SLF001 - Django's own request
        return True

    def demand(self) -> Demand:
        """Return what this permission demands of an admitted request."""
        return demands.admitted_only


class HardwareProof(Admitted):
    """Demand a proof by the `sign` key itself."""

    def demand(self) -> Demand:
        """Return the demand."""
        return demands.hardware_proof


class Fresh(Admitted):
    """Demand a hardware proof, and evidence at most `seconds` old: 30 unless `Fresh.of(...)` says otherwise."""

    seconds: ClassVar[int] = 30

    @classmethod
    def of(cls, seconds: int) -> type[Self]:
        """Return the permission class for this many seconds. Raises `Misuse` (`misuse.fresh_malformed`)."""
        demands.fresh_evidence(seconds)
        return type(f"{cls.__name__}_{seconds}", (cls,), {"seconds": seconds})

    def demand(self) -> Demand:
        """Return the demand."""
        return demands.fresh_evidence(self.seconds)


class MinimumTier(Admitted):
    """Demand at least `tier`: `affirming` unless a subclass, or `MinimumTier.of(...)`, says otherwise."""

    tier: ClassVar[Tier] = Tier.AFFIRMING

    @classmethod
    def of(cls, tier: Tier) -> type[Self]:
        """Return the permission class for this tier."""
        return type(f"{cls.__name__}_{tier}", (cls,), {"tier": tier})

    def demand(self) -> Demand:
        """Return the demand."""
        return demands.minimum_tier(self.tier)


class Sealed(Admitted):
    """Have the answers of a view sealed, as `decorators.sealed` does: a permission, so that no effect comes before it.

    Refusals of permissions that stand before it are answered in clear.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise as `sealed_answers.require_sealed`."""
        del view
        sealed_answers.require_sealed(request._request, strict=self.strict)  # noqa: SLF001 - Django's own request
        return True


class SealedJSONRenderer(JSONRenderer):
    """Render JSON for an answer that leaves sealed, or not at all.

    Where nothing else asked for sealing it is asked for here, when the view has run: where that fails, the effect of
    the view stays and its answer does not go out. `Sealed` among the permissions asks before.
    """

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the JSON. Raises `Misuse` (`sealed.key_missing`) where no request says for whom, and as `Sealed`."""
        request = (renderer_context or {}).get("request")
        if request is None:
            raise Misuse(sealed_reasons.KEY_MISSING, "rendered without a request")
        sealed_answers.require_sealed(request._request, strict=True)  # noqa: SLF001 - Django's own request
        return super().render(data, accepted_media_type, renderer_context)


class LoginProofMixin:
    """Refuses a login that could not be bound before anybody looks at the password. Put it before the login's view."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise as `binding.require_login_proof`, whatever the method: authentication comes after this."""
        binding.require_login_proof(request._request)  # noqa: SLF001 - Django's own request
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # the view it is mixed into
