"""Demonstration data: invented articles, the same at every run."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.accounts import users
from app.database.models import Article, User, now
from app.news import text

SEED = 2026
BATCH = 500
AUTHORS = (
    "Ada Marsh", "Bruno Castell", "Chiara Lind", "Dev Okafor", "Elif Aydin", "Farid Noor",
    "Greta Holm", "Hugo Vance", "Ines Duarte", "Jonas Weber", "Keiko Arai", "Lena Brandt",
)  # fmt: skip
PLACES = (
    "Harbour Street", "Northgate", "the old brewery quarter", "Lindholm", "the river district", "Kestrel Valley",
    "Port Amber", "the university hill", "Eastmoor", "Saint Alban", "the market square", "Wexley",
    "the southern docks", "Fernbridge",
)  # fmt: skip
# Parts of sentences, by subject.
SUBJECTS: tuple[dict[str, tuple[str, ...]], ...] = (
    {
        "who": ("The city council", "The transport office", "A citizens' assembly", "The planning board"),
        "what": ("night buses", "a tram line", "protected cycle lanes", "the ferry timetable", "a car-free centre"),
        "does": ("approves", "postpones", "doubles the budget for", "opens a consultation on", "publishes figures on"),
        "detail": (
            "Passengers have asked for it since the timetable was cut three winters ago.",
            "Engineers say that the bridge can carry it once its bearings are replaced.",
            "Shops along the route fear the months of building more than the change itself.",
            "The first vehicles could run in spring if the tender is not contested.",
            "Each journey costs the city less than a parking space, the office calculates.",
        ),
    },
    {
        "who": ("Researchers at the institute", "A team of biologists", "The observatory", "Two doctoral students"),
        "what": ("migrating swifts", "a slow earthquake", "deep-sea sponges", "urban foxes", "a comet's tail"),
        "does": ("track", "measure", "describe", "solve an old question about", "share ten years of data on"),
        "detail": (
            "The instruments were built from spare parts in a workshop behind the lecture hall.",
            "Every measurement was repeated by a second group that did not know the first result.",
            "The data are open, so that anyone can check the analysis.",
            "Colleagues abroad call the result careful and surprising in equal measure.",
            "Whether it holds elsewhere will be seen when the next season's samples arrive.",
        ),
    },
    {
        "who": ("A family bakery", "The cooperative", "A software workshop", "The shipyard", "A maker of instruments"),
        "what": ("apprentices", "a repair service", "heat from its ovens", "a second shift", "orders from abroad"),
        "does": ("bets on", "finds room for", "earns its first profit with", "rethinks", "shares the gains of"),
        "detail": (
            "The bank wanted guarantees; the neighbours lent the money without any.",
            "Half of the staff have been there for longer than the owner.",
            "Energy is the largest item on the bill, well ahead of rent.",
            "Margins are thin, but the order book is full until autumn.",
            "What began as a favour for one customer is now a fifth of the business.",
        ),
    },
    {
        "who": (
            "The municipal theatre",
            "A youth orchestra",
            "The film club",
            "A retired printer",
            "The public library",
        ),
        "what": (
            "an unfinished opera",
            "silent films",
            "forgotten letters",
            "a summer programme",
            "poetry in four languages",
        ),
        "does": (
            "revives",
            "gives a stage to",
            "finds an audience for",
            "closes the season with",
            "takes a fresh look at",
        ),
        "detail": (
            "Tickets cost as much as a coffee, and the first evenings are sold out.",
            "The manuscript lay in a drawer for sixty years beside old programmes.",
            "Rehearsals took place in a gymnasium, between basketball and choir.",
            "The applause lasted longer than the last movement.",
            "Critics were divided; the audience was not.",
        ),
    },
    {
        "who": ("The rowing club", "The women's eleven", "A marathon runner", "The chess league", "The climbing hall"),
        "what": ("a late comeback", "the regional title", "a record from 1987", "a new coach", "training at dawn"),
        "does": ("celebrates", "fights for", "comes close to", "owes its season to", "surprises everybody with"),
        "detail": (
            "Nobody had expected more than a place in the middle of the table.",
            "The decision came in the last minute, in heavy rain.",
            "Training begins at six, before work and school.",
            "The coach speaks little during matches and much afterwards.",
            "Next week's opponent has not lost at home this year.",
        ),
    },
)
CONTEXT = (
    "The plan had been discussed behind closed doors for months before the first document became public.",
    "Those who remember the last attempt advise patience.",
    "A similar project two towns away was finished on time and slightly under budget.",
    "Opinions in the neighbourhood are mixed, and voiced freely.",
    "Official figures are expected at the end of the quarter.",
    "For many it is less a question of money than of trust.",
    "What happens next depends on a meeting in {place} on Thursday.",
    "In {place} people already speak of a small turning point.",
    "Visitors from {place} come to see how it is done.",
    "The mood in {place} was cheerful in spite of the weather.",
)
QUOTES = (
    "“We did not want to wait until somebody else solved it for us,” says {name}, a member from the beginning.",
    "“It is not perfect, but it works, and that is new,” says {name}.",
    "“Ask me again in a year,” {name} says, and laughs.",
    "“The numbers speak for themselves, once you read them to the end,” {name} explains.",
)


def load(session: Session, count: int) -> int:
    """Add `count` articles by authors who cannot log in; return how many."""
    authors = _authors(session)
    made = _articles(Random(SEED), authors, count)
    for start in range(0, count, BATCH):
        session.execute(insert(Article), [next(made) for _ in range(min(BATCH, count - start))])
    return count


def _authors(session: Session) -> list[tuple[int, str]]:
    # Nobody knows this random password. All authors share it, because one hash takes a quarter of a second.
    unknown = users.hash_password(secrets.token_urlsafe())
    emails = {name.lower().replace(" ", ".") + "@newsroom.example": name for name in AUTHORS}
    known = set(session.scalars(select(User.email).where(User.email.in_(emails))))
    session.add_all(
        User(email=email, name=name, password_hash=unknown) for email, name in emails.items() if email not in known
    )
    session.flush()
    rows = session.execute(select(User.id, User.name).where(User.email.in_(emails)).order_by(User.email))
    return [(row.id, row.name) for row in rows]


def _articles(random: Random, authors: list[tuple[int, str]], count: int) -> Iterator[dict[str, Any]]:
    moment = now()
    ages = sorted((random.random() ** 2 * 720 * 24 * 60 for _ in range(count)), reverse=True)
    for age in ages:
        author_id, _ = random.choice(authors)
        title, content = _article(random)
        published = moment - timedelta(minutes=age)
        yield {
            "author_id": author_id,
            "title": title,
            "content": content,
            "summary": text.summary(content),
            "keywords": text.keywords(title, content),
            # A few articles have many views, most have few.
            "views": int(random.paretovariate(0.9) * 12) % 250_000,
            "published_at": published,
            "processed_at": published,
        }


def _article(random: Random) -> tuple[str, str]:
    subject = random.choice(SUBJECTS)
    place, elsewhere = random.sample(PLACES, 2)
    who, what, does = (random.choice(subject[part]) for part in ("who", "what", "does"))
    title = f"{who} {_agree(who, does)} {what}"
    if random.random() < 0.5:
        title = f"{place[0].upper()}{place[1:]}: {who[0].lower()}{who[1:]} {_agree(who, does)} {what}"
    lead = f"{who} in {place} {_agree(who, does)} {what}. {random.choice(subject['detail'])}"
    details = random.sample(subject["detail"], 3)
    contexts = [sentence.format(place=elsewhere) for sentence in random.sample(CONTEXT, 5)]
    quotes = [quote.format(name=random.choice(AUTHORS)) for quote in random.sample(QUOTES, 2)]
    paragraphs = [
        lead,
        f"{contexts[0]} {details[0]} {contexts[1]}",
        f"{quotes[0]} {details[1]}",
        f"{contexts[2]} In the end it is about {what}, and about who decides on {what} in {place}. {contexts[3]}",
        f"{quotes[1]} {details[2]} {contexts[4]}",
    ]
    return title, "\n\n".join(paragraphs)


def _agree(who: str, does: str) -> str:
    """Give a verb the number of its subject: singular or plural."""
    verb, space, rest = does.partition(" ")
    return does if verb.endswith("s") or who.startswith(("Researchers", "Two")) else f"{verb}s{space}{rest}"
