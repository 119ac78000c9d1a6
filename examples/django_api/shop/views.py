"""The shop's API, honestly ordinary: JSON in, JSON out, a bearer token once logged in.

Note what is *not* ordinary security here and stays the API's own duty: `/api/users/<id>` shows any
customer to any customer. Bonafide keeps scripts away from it; it does not know who may see whom.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from shop.models import Bearer, Order, ViewRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpResponseBase

    View = Callable[..., HttpResponseBase]

LOCKED = apps.is_installed("bonafide.django")
"""Whether these settings are the locked ones. A project that has Bonafide needs neither this nor the `if`s."""

if LOCKED:
    from bonafide.django.binding import bind_credential, require_bound

MAX_QUANTITY = 100
MAX_ADDRESS = 200
STATEMENT_LINES = 8_000


def counted(view: View) -> View:
    """Count the runs of a view, as the first thing that happens inside it."""

    @wraps(view)
    def run(request: HttpRequest, *customer: User, **arguments: object) -> HttpResponseBase:
        with transaction.atomic():
            ViewRun.objects.get_or_create(view=view.__name__)
            ViewRun.objects.filter(view=view.__name__).update(runs=F("runs") + 1)
        return view(request, *customer, **arguments)

    return run


def for_customers(view: View) -> View:
    """Answer 401 without a known bearer token; else hand its owner to the view."""

    @wraps(view)
    def run(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        bearer = Bearer.objects.select_related("user").filter(digest=digest_of(token)).first()
        if scheme != "Bearer" or bearer is None:
            return JsonResponse({"error": "log in first"}, status=401)
        if LOCKED:
            require_bound(request, token, kind="bearer")
        return view(request, bearer.user, **arguments)

    return run


def digest_of(token: str) -> str:
    """Return what the database keeps of a bearer token."""
    return hashlib.sha256(token.encode()).hexdigest()


@require_http_methods(["GET"])
@counted
def config(_request: HttpRequest) -> HttpResponse:
    """Tell the app what it needs before anybody has logged in."""
    return JsonResponse({"currency": "EUR", "features": {"wishlist": True}, "maps_key": "maps-key-of-the-shop"})


@csrf_exempt
@require_http_methods(["POST"])
@counted
def login(request: HttpRequest) -> HttpResponse:
    """Exchange name and password for a bearer token."""
    body = _object(request)
    user = authenticate(request, username=body.get("username"), password=body.get("password"))
    if not isinstance(user, User):
        return JsonResponse({"error": "wrong name or password"}, status=403)
    token = new_bearer(user)
    if LOCKED:
        bind_credential(request, token, kind="bearer", user=user)
    return JsonResponse({"token": token, "user_id": user.pk})


def new_bearer(user: User) -> str:
    """Make a bearer token for a user; only its digest is kept."""
    token = secrets.token_urlsafe(32)
    Bearer.objects.create(user=user, digest=digest_of(token))
    return token


@require_http_methods(["GET"])
@for_customers
@counted
def me(_request: HttpRequest, customer: User) -> HttpResponse:
    """Show the customer's own account."""
    return JsonResponse(_profile(customer))


@csrf_exempt
@require_http_methods(["PUT"])
@for_customers
@counted
def address(request: HttpRequest, customer: User) -> HttpResponse:
    """Change where the customer's orders go."""
    wanted = _object(request).get("address")
    if not isinstance(wanted, str) or not 0 < len(wanted) <= MAX_ADDRESS:
        return JsonResponse({"error": "an address is wanted"}, status=400)
    customer.customer.address = wanted
    customer.customer.save(update_fields=["address"])
    return JsonResponse(_profile(customer))


@require_http_methods(["GET"])
@for_customers
@counted
def user(_request: HttpRequest, _customer: User, user_id: int) -> HttpResponse:
    """Show a customer."""
    found = User.objects.select_related("customer").filter(pk=user_id, customer__isnull=False).first()
    if found is None:
        return JsonResponse({"error": "no such customer"}, status=404)
    return JsonResponse(_profile(found))


@require_http_methods(["GET"])
@for_customers
@counted
def wallet(_request: HttpRequest, customer: User) -> HttpResponse:
    """Show the customer's gift cards: whoever reads a code can spend it."""
    return JsonResponse({"cards": [gift_card(customer)]})


def gift_card(customer: User) -> dict[str, object]:
    """Return the card that the shop gave a customer at the beginning."""
    code = hashlib.sha256(f"gift card of {customer.username}".encode()).hexdigest()[:16].upper()
    return {"code": f"GIFT-{code}", "value": 50}


@require_http_methods(["GET"])
@for_customers
@counted
def statement(_request: HttpRequest, customer: User) -> StreamingHttpResponse:
    """Write the customer's statement of account as a file, line by line."""

    def lines() -> Iterator[str]:
        yield "date,item,price\r\n"
        for number in range(STATEMENT_LINES):
            yield f"2026-{number % 12 + 1:02},item {number} of {customer.username},{number % 90 + 10}.00\r\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")


@csrf_exempt
@require_http_methods(["GET", "POST", "DELETE"])
@for_customers
@counted
def orders(request: HttpRequest, customer: User) -> HttpResponse:
    """List the customer's orders, (POST) place one, or (DELETE) cancel them all."""
    if request.method == "DELETE":
        Order.objects.filter(user=customer).delete()
        return HttpResponse(status=204)
    if request.method == "POST":
        body = _object(request)
        item, quantity = body.get("item"), body.get("quantity")
        if not isinstance(item, str) or not isinstance(quantity, int) or not 0 < quantity <= MAX_QUANTITY:
            return JsonResponse({"error": "item and quantity are wanted"}, status=400)
        order = Order.objects.create(user=customer, item=item[:100], quantity=quantity)
        return JsonResponse(_order(order), status=201)
    found = Order.objects.filter(user=customer).order_by("pk")[:100]
    return JsonResponse({"orders": [_order(order) for order in found]})


def _object(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _profile(user: User) -> dict[str, object]:
    return {
        "id": user.pk,
        "name": user.username,
        "email": user.email,
        "phone": user.customer.phone,
        "address": user.customer.address,
    }


def _order(order: Order) -> dict[str, object]:
    return {"id": order.pk, "item": order.item, "quantity": order.quantity}
