"""The default cast of the tiny lake. Figures of the tests in tests/dbt are worked out by hand from these rows."""

from lakekit import Lake, at, line, order_properties, profile, token

EMAIL_1, EMAIL_2, EMAIL_4, EMAIL_5 = (token("email", f"{n}@example.com") for n in (1, 2, 4, 5))
PHONE_1 = token("phone", "+15550001")


def tiny_lake() -> Lake:
    """Five profiles, seven products, seven orders, of which one is in euros and one is received after the clock.

    1 buys often, reads e-mail, uses the web with and without login, allows everything; was merged with profile 90.
    2 bought once, long ago, and has withdrawn marketing consent. 3 is new, says nothing about consent.
    4 never bought; is in the CRM only; one of its identifiers denies marketing. 5 is simulated only, and suppressed.
    Browser a7 belongs to nobody yet. P9 is sold but not in the catalog; P1 has two catalog versions.
    """
    lake = Lake()
    _catalog_and_crm(lake)
    _orders(lake)
    _campaigns_and_email(lake)
    _web(lake)
    _visits(lake)
    _traits(lake)
    _consents(lake)
    _identity(lake)
    _gold(lake)
    return lake


def _catalog_and_crm(lake: Lake) -> None:
    lake.product("P1", brand="Old")
    lake.product("P1")  # the same key and time again: the later one in the order of receipt holds
    lake.product("P2", "PRODUCE").product("P3", "MEAT").product("P4", "DRUG GM", package_size=None)
    lake.product("P5", "DELI").product("P6", "PASTRY")
    for number, age in (("1", "35-44"), ("4", "65+")):
        values = {"household_id": number, "age": age, "income": "50-74K", "home_ownership": "Homeowner"}
        more = {"marital_status": "Married", "household_size": "2", "household_comp": "2 Adults No Kids"}
        lake.record("crm_households", "household", number, values | more | {"kids_count": "0"})
    for number, kind in (("13", "Type A"), ("8", "Type B")):
        dates = {"start_date": "2017-03-01", "end_date": "2017-12-31"}
        lake.record("crm_campaigns", "campaign", number, {"campaign_id": number, "campaign_type": kind} | dates)
    coupon = {"coupon_upc": "100", "product_id": "P1", "campaign_id": "13"}
    lake.record("crm_coupons", "coupon", "100|P1|13", coupon)
    people = (("1", "U1", EMAIL_1, PHONE_1), ("2", "U2", EMAIL_2, None), ("4", "U4", EMAIL_4, None))
    for number, user, email, phone in people:
        ids = {"household_id": number, "user_id": user, "email_token": email, "phone_token": phone}
        lake.record("sim_crm_people", "person", number, {"person_id": number, "marketing_consent": "granted"} | ids)


def _orders(lake: Lake) -> None:
    lake.order("1", "B1", "2017-03-01", [line("P1", 2, "5.00"), line("P2", 1, "3.50", coupon_disc="0.50")])
    lake.order("1", "B2", "2017-12-01", [line("P1", 1, "2.50"), line("P3", 1, "10.00", retail_disc="1.25")])
    lake.order("1", "B3", "2017-12-30", [line("P3", 2, "20.00"), line("P9", 1, "1.00")])
    lake.order("2", "B4", "2017-02-01", [line("P2", 1, "4.10")])
    lake.order("3", "B5", "2017-12-20", [line("P2", 1, "0.10"), line("P2", 1, "0.20"), line("P4", 0, "0.00")])
    # The till sent B5 again under a new message id: the first one received counts.
    lake.order("3", "B5", "2017-12-20", [line("P2", 9, "99.99")])
    lake.order("2", "B7", "2017-02-02", [line("P3", 1, "30.00")], currency="EUR")
    # Part of B2 given back by a till that sends it twice; all of B7; a part of B1 that nobody put a figure on; an order of
    # before our time; and one that is received after the clock.
    lake.refund("B2", "2017-12-02", refund_id="R1", total=2.5, household="1").refund(
        "B2", "2017-12-03", refund_id="R1", total=2.5, household="1"
    )
    lake.refund("B7", "2017-02-05").refund("B1", "2017-03-02", products=[{"product_id": "P2", "quantity": 1}])
    lake.refund("B0", "2017-02-05", total=7, currency="CHF", household="3")
    lake.refund("B3", "2018-01-01", total=1, received_at="2018-01-05")
    lake.order("1", "B6", "2018-01-01", [line("P1", 1, "77.00")], received_at="2018-01-05")


def _campaigns_and_email(lake: Lake) -> None:
    for household in ("1", "4"):
        sent = {"campaign_id": "13", "campaign_type": "Type A"}
        lake.event("campaign_sends", "Campaign Sent", "2017-11-10", {"loyalty_id": household}, sent)
    redeemed = {"coupon_upc": "100", "campaign_id": "13"}
    lake.event("coupon_redemptions", "Coupon Redeemed", "2017-11-20", {"loyalty_id": "1"}, redeemed)
    new, old, other = ({"campaign_id": c, "email_id": m} for c, m in (("13", "M1"), ("8", "M2"), ("13", "M3")))
    one, four = {"email": EMAIL_1}, {"email": EMAIL_4}
    lake.event("sim_email", "Email Delivered", "2017-11-11", one, new)
    lake.event("sim_email", "Email Opened", "2017-11-12", one, new).event(
        "sim_email", "Email Opened", "2017-11-13", one, new
    )
    lake.event("sim_email", "Email Link Clicked", "2017-11-13", one, new)
    lake.event("sim_email", "Email Delivered", "2017-03-02", one, old).event(
        "sim_email", "Email Opened", "2017-03-03", one, old
    )
    lake.event("sim_email", "Email Delivered", "2017-11-11", four, other)


def _web(lake: Lake) -> None:
    known, anonymous = {"user_id": "U1", "anonymous_id": "a1"}, {"anonymous_id": "a1"}
    page = {"path": "/", "title": "Home", "url": "https://shop.example/"}
    lake.event("sim_web", "page", "2017-10-01", anonymous, page)
    lake.event("sim_web", "page", "2017-12-20", anonymous, page)
    lake.event("sim_web", "page", "2017-12-21", {"anonymous_id": "a90"}, page)
    lake.event("sim_web", "identify", "2017-12-20", known, {})
    lake.event("sim_web", "Product Viewed", "2017-12-20", known, {"product_id": "P1", "price": 2.5})
    added = {"product_id": "P1", "cart_id": "k1", "quantity": 1, "price": 2.5}
    lake.event("sim_web", "Product Added", "2017-12-20", known, added)
    lake.event("sim_web", "page", "2017-12-22", {"user_id": "U5", "anonymous_id": "a5"}, page)
    lake.event("sim_web", "page", "2017-12-23", {"anonymous_id": "a7"}, page)


# What led to a page: utm_source, utm_medium, referrer, and the channel that makes.
VISITS = (
    (None, None, None, "direct"),
    (None, None, "https://www.google.com/", "organic_search"),
    (None, None, "https://search.yahoo.co.jp/search", "organic_search"),
    ("google", "cpc", "https://www.google.com/", "paid_search"),
    ("Facebook", "paid_social", None, "paid_social"),
    ("google", "cpm", None, "paid_search"),
    ("adnetwork", "cpm", None, "display"),
    ("adnetwork", "CPC", None, "other"),
    (None, None, "https://t.co/abc", "organic_social"),
    ("partner", "social", None, "organic_social"),
    ("newsletter", "email", "https://mail.google.com/mail/u/0", "email"),
    (None, None, "https://mail.google.com/mail/u/0", "email"),
    ("shareasale", "affiliate", None, "affiliates"),
    (None, None, "https://blog.example.org/post?q=1", "referral"),
    ("partner", "link", None, "referral"),
    (None, None, "https://shop.example/basket", "direct"),  # our own host is no referrer
    ("flyer", "qr", None, "other"),
    (None, None, "not a url", "direct"),
)


def _visits(lake: Lake) -> None:
    """One page each of a browser that is nobody's, v0 and on; v0 goes on to buy in euros, the last one is a bot."""
    for number, (source, medium, referrer, _) in enumerate(VISITS):
        page = {"path": "/deals?code=1", "url": "https://www.shop.example/deals", "referrer": referrer}
        campaign = {"source": source, "medium": medium, "name": "spring"} if source else None
        flags = ("known_bot",) if number == len(VISITS) - 1 else ()
        ids, context = {"anonymous_id": f"v{number}"}, {"page": page, "campaign": campaign}
        lake.event("sim_web", "page", "2017-12-24", ids, {"path": page["path"]}, context=context, flags=flags)
    bought = order_properties("W1", [line("P1", 1, "9.00")], "EUR")
    # In the same visit 20 minutes later, by way of a payment page; 31 minutes after that another visit begins.
    paid = {"page": {"path": "/thanks", "url": "https://shop.example/thanks", "referrer": "https://pay.example/"}}
    v0 = {"anonymous_id": "v0"}
    lake.event("web", "Order Completed", "2017-12-24T12:20:00", v0, bought, context=paid)
    lake.event("sim_web", "Product Viewed", "2017-12-24T12:51:00", v0, {"product_id": "P1"})


def _traits(lake: Lake) -> None:
    """What profile 2 and its CRM said of it, in an order of its own: see tests/dbt/test_traits.py."""
    two = {"user_id": "U2", "anonymous_id": "a2"}
    lake.event("sim_web", "identify", "2017-03-01", two, {"plan": "free", "seats": 2, "city": 'Zürich "old" town'})
    lake.event("sim_web", "identify", "2017-05-01", two, {"plan": "gold", "seats": 2, "beta": True})
    # Happened before, known after: it takes its place in the middle.
    lake.event("sim_web", "identify", "2017-04-01", two, {"plan": "silver"}, received_at="2017-09-01")
    lake.event("sim_web", "identify", "2017-05-01", two, {"plan": "platinum"})  # same moment, received last
    lake.event("sim_web", "identify", "2017-06-01", two, {"seats": None, "never": None})
    # Their clock is a month ahead: it counts from when we received it.
    lake.event("sim_web", "identify", "2017-08-01", two, {"plan": "lead"}, received_at="2017-07-01")
    lake.event("sim_web", "identify", "2017-12-01", two, {"plan": "unknown yet"}, received_at="2018-03-01")
    stage = {"contact_id": "c2", "user_id": "U2", "lifecycle_stage": "lead"}
    lake.record("hubspot_contacts", "person", "c2", stage, valid_from="2017-02-01")
    lake.record("hubspot_contacts", "person", "c2", stage | {"lifecycle_stage": "customer"}, valid_from="2017-02-10")
    lake.record("hubspot_contacts", "person", "c9", stage | {"user_id": "nobody"}, valid_from="2017-02-10")


def _consents(lake: Lake) -> None:
    lake.consent("email", EMAIL_1, "all").consent("loyalty_id", "1", "all")
    lake.consent("email", EMAIL_2, "all").consent("email", EMAIL_2, "marketing", "denied", "2017-06-01")
    lake.consent("email", EMAIL_4, "all").consent("user_id", "U4", "marketing", "denied")
    lake.consent("user_id", "U5", "all")
    lake.consent("email", EMAIL_1, "marketing", "denied", "2018-02-01")  # after the clock: not known yet
    reason = {"reason": "unsubscribed", "source": "sim_email", "effective_at": at("2017-06-01")}
    lake.add("suppressions", identifier_type="user_id", identifier_value="U5", **reason)


def _identity(lake: Lake) -> None:
    lake.belongs(profile(1), loyalty_id="1", user_id="U1", email=EMAIL_1, phone=PHONE_1, anonymous_id="a1")
    lake.belongs(profile(90), anonymous_id="a90")  # a stale owner: the redirect leads on to profile 1
    ends = {"from_profile_id": profile(90), "to_profile_id": profile(1)}
    lake.add("profile_redirects", merged_at=at("2017-12-31"), is_simulated=True, **ends)
    lake.belongs(profile(2), loyalty_id="2", user_id="U2", email=EMAIL_2)
    lake.belongs(profile(3), loyalty_id="3")
    lake.belongs(profile(4), loyalty_id="4", user_id="U4", email=EMAIL_4)
    lake.belongs(profile(5), user_id="U5", anonymous_id="a5")


def _gold(lake: Lake) -> None:
    for rank, item in enumerate(("TYPE P2", "TYPE P4", "TYPE P5"), start=1):
        lake.recommendation(profile(90), rank, item)  # scored before the merge
    lake.recommendation(
        profile(3), 1, "TYPE P1", tier="popular", is_fallback=True, fallback_reason="no_profiling_consent"
    )
    lake.cluster(profile(1)).cluster(profile(2), 1, "rare buyers")
    lake.score(profile(90), "churn", 0.25).score(profile(90), "clv", 120.5)  # scored before the merge
    lake.score(profile(2), "churn", 0.75).score(profile(3), "churn", 0.5)  # 3 has not allowed it
