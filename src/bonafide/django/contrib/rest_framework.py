"""Permission classes for Django REST framework. They demand what `bonafide.django.demands` says, and tighten only.

    class Transfer(APIView):
        permission_classes = [IsAuthenticated, HardwareProof, MinimumTier.of(Tier.AFFIRMING)]

A permission raises instead of answering False, so that the refusal is answered as the middleware's are, and so that
no `A | B` turns it into a choice where it stands first. Where it stands second it is one: list it on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from rest_framework.permissions import BasePermission

from bonafide.django import binding, demands
from bonafide.terms import Tier

if TYPE_CHECKING:
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


class LoginProofMixin:
    """Refuses a login that could not be bound before anybody looks at the password. Put it before the login's view."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise as `binding.require_login_proof`, whatever the method: authentication comes after this."""
        binding.require_login_proof(request._request)  # noqa: SLF001 - Django's own request
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # the view it is mixed into
