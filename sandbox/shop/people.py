"""Made-up people, in: a random source; out: names, e-mails, telephones and addresses that belong to nobody.

E-mails end in domains that are reserved for examples (RFC 2606), telephone numbers in 555 01xx. Knows nothing of shops.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

DOMAINS = ("example.com", "example.org", "example.net")

# Kept as texts: a list of a hundred names would fill the page.
_FIRST = """
Amélie Anders Aoife Asha Björn Chidi Chloé Daniela Dmitri Élodie Emeka Esra Fátima François Giulia Goran Hanna Hiroshi
Ingrid Ioana Isabel Jürgen José Kaito Katarzyna Kwame Lars Leila Linh Łukasz Mei Mateus Maya Mirjam Nadia Niamh Noah
Olga Omar Oskar Pavel Priya Rafael Ravi Rosa Saoirse Søren Sofía Tariq Thandiwe Tomáš Ursula Vera Wei Xiulan Yara Yuki
Zoë Zsófia
"""
_LAST = """
Åkesson Andersson Bakker Bălan Bauer Castañeda Chen Çelik Costa Dubois Eze Fernández Fischer García Haddad Hansen
Horváth Ibrahim Ivanova Jansen Johnson Kim Kowalski Krüger Lefèvre Lindqvist López MacDonald Mbeki Mensah Müller
Nakamura Nguyễn Novák Núñez O'Brien Okafor Öztürk Patel Pereira Petrov Quispe Rossi Sánchez Sato Schäfer Silva Singh
Smith Šimić Tanaka Tran van_den_Berg Weiß Wójcik Zhang Zielińska
"""
_STREETS = ("Church", "High", "Lake", "Maple", "Mill", "Oak", "Park", "River", "Station", "Willow")

# city, province, its code, country, its code, postal code, language, latitude, longitude
_PLACES = (
    ("New York", "New York", "NY", "United States", "US", "10001", "en", 40.7484, -73.9967),
    ("Portland", "Oregon", "OR", "United States", "US", "97205", "en", 45.5202, -122.6742),
    ("Austin", "Texas", "TX", "United States", "US", "78701", "en", 30.2711, -97.7437),
    ("Montréal", "Quebec", "QC", "Canada", "CA", "H2X 1Y4", "fr", 45.5088, -73.5878),
    ("São Paulo", "São Paulo", "SP", "Brazil", "BR", "01310-100", "pt-BR", -23.5614, -46.6559),
    ("Dublin", "Dublin", "D", "Ireland", "IE", "D02 X285", "en", 53.3438, -6.2546),
    ("Köln", None, None, "Germany", "DE", "50667", "de", 50.9384, 6.9570),
    ("Malmö", None, None, "Sweden", "SE", "211 34", "sv", 55.6059, 13.0007),
    ("Kraków", None, None, "Poland", "PL", "31-042", "pl", 50.0647, 19.9450),
    ("Nagoya", "Aichi", "JP-23", "Japan", "JP", "460-0008", "ja", 35.1681, 136.8995),
)


@dataclass(frozen=True)
class Person:
    """Somebody who doesn't exist."""

    first_name: str
    last_name: str
    email: str
    phone: str
    locale: str
    address: dict[str, Any]

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


def person(random: Random, number: int) -> Person:
    """Return somebody; `number` keeps e-mails apart."""
    first, last = random.choice(_FIRST.split()), random.choice(_LAST.split()).replace("_", " ")
    place = random.choice(_PLACES)
    email = f"{_plain(first)}.{_plain(last)}.{number}@{random.choice(DOMAINS)}"
    phone = f"+1202555{100 + number % 100:04d}"
    return Person(first, last, email, phone, place[6], _address(random, number, (first, last), phone, place))


def _plain(name: str) -> str:
    """Return a name as it stands in an e-mail: letters of a to z."""
    letters = unicodedata.normalize("NFKD", name.lower().replace("ł", "l").replace("ø", "o").replace("ß", "ss"))
    return "".join(letter for letter in letters if "a" <= letter <= "z")


def _address(random: Random, number: int, name: tuple[str, str], phone: str, place: tuple[Any, ...]) -> dict[str, Any]:
    first, last = name
    city, province, province_code, country, country_code, zip_, _, latitude, longitude = place
    return {
        "id": f"gid://shopify/MailingAddress/{9_000_000_000_000 + number}",
        "firstName": first,
        "lastName": last,
        "name": f"{first} {last}",
        "company": random.choices(("Äpfel & Co", None), (5, 95))[0],
        "address1": f"{random.randint(1, 99)} {random.choice(_STREETS)} Street",
        "address2": random.choices((f"Apt {random.randint(1, 40)}", None), (20, 80))[0],
        "city": city,
        "province": province,
        "provinceCode": province_code,
        "country": country,
        "countryCodeV2": country_code,
        "zip": zip_,
        "phone": phone,
        "latitude": latitude,
        "longitude": longitude,
        "coordinatesValidated": True,
        "formattedArea": f"{city}, {country}",
        "timeZone": None,
        "validationResultSummary": None,
    }
