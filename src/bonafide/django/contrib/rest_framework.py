"""Permission classes for Django REST framework. They demand what `bonafide.django.demands` says, and tighten only.

    class Transfer(APIView):
        permission_classes = [IsAuthenticated, Fresh.of(30), MinimumTier.of(Tier.AFFIRMING)]

A permission raises instead of answering False, so that the refusal is answered as the middleware's are, and so that
no `A | B` turns it into a choice where it stands first. Where it stands second it is one: list it on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from rest_framework.permissions import BasePermission

from bonafide.django import demands
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
