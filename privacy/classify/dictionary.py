"""Words that people, places and the like are called by: Faker's lists, which come with the suite, and short ones.

Faker keeps names, cities, countries and regions of some eighty locales as plain lists; they are read from its
installed modules, without a generator and without a network. Everything is compared folded: in lower case, without
accents, letters only.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_veil.privacy.classify.shape import Mask
from airflow_veil.privacy.transforms.names import words_of

_CITIES = ("cities", "city_names", "towns", "municipalities", "town_names", "cities_names", "villages")
_REGIONS = (
    "states",
    "provinces",
    "prefectures",
    "departments",
    "regions",
    "counties",
    "cantons",
    "administrative_units",
    "districts",
)


_FEW = 4_096
"""Up to so many texts, looking each up by itself is faster than giving Arrow the list."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A list of folded texts to look others up in.

    Attributes:
        texts: The list.
    """

    texts: pa.Array

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.texts.to_pylist())

    def among(self, values: pa.Array) -> Mask:
        """Which of n texts are in the list, shape (n,)."""
        if len(values) > _FEW:
            found: Mask = pc.is_in(values, value_set=self.texts.cast(values.type)).to_numpy(
                zero_copy_only=False
            )
            return found
        known = self._known
        return np.fromiter((text in known for text in values.to_pylist()), np.bool_, len(values))


def phrases_of(values: pa.Array) -> pa.Array:
    """N texts folded: lower case, no accents, one space between words of letters and digits."""
    plain = pc.replace_substring_regex(pc.utf8_normalize(values, form="NFKD"), r"\p{M}+", "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(plain), r"[^\p{L}\p{N}]+", " "))


@lru_cache(maxsize=1)
def first_names() -> Lexicon:
    """Words of given names, of all locales."""
    return _words(_listed("person", lambda name: "first" in name))


@lru_cache(maxsize=1)
def last_names() -> Lexicon:
    """Words of family names, of all locales."""
    return _words(_listed("person", lambda name: "last" in name or "surname" in name))


@lru_cache(maxsize=1)
def cities() -> Lexicon:
    """Names of cities and towns."""
    return _phrases(_listed("address", lambda name: name in _CITIES))


@lru_cache(maxsize=1)
def countries() -> Lexicon:
    """Names of countries, in all languages of the locales."""
    return _phrases([*_listed("address", lambda name: name == "countries"), *_COUNTRIES])


@lru_cache(maxsize=1)
def country_codes() -> Lexicon:
    """Two and three letters (ISO 3166-1)."""
    return _phrases(
        _listed("address", lambda name: name in ("alpha_2_country_codes", "alpha_3_country_codes"))
    )


@lru_cache(maxsize=1)
def regions() -> Lexicon:
    """Names of states, provinces, cantons and the like."""
    return _phrases(_listed("address", lambda name: name in _REGIONS))


@lru_cache(maxsize=1)
def region_codes() -> Lexicon:
    """Abbreviated states and provinces."""
    return _phrases(
        _listed("address", lambda name: name in ("states_abbr", "provinces_abbr", "known_usps_abbr"))
    )


@lru_cache(maxsize=1)
def street_words() -> Lexicon:
    """Words for street, in all locales, and their usual abbreviations."""
    listed = _listed(
        "address", lambda name: name.startswith(("street_suffixes", "street_prefixes", "street_titles"))
    )
    long = [
        word for word in _words([*listed, *_STREETS.split()]).texts.to_pylist() if word not in _NO_STREETS
    ]
    return Lexicon(pa.array(long, pa.string()))


@lru_cache(maxsize=1)
def job_heads() -> Lexicon:
    """The words that job titles end with: engineer, officer, nurse."""
    module = importlib.import_module("faker.providers.job")
    titles = (title.split(",")[0].split("/")[0].strip() for title in module.Provider.jobs)
    return _words([*(title.split()[-1] for title in titles if title), *_JOBS.split()])


def _words(texts: Iterable[str]) -> Lexicon:
    _, words = words_of(pa.array(list(texts), pa.string()))
    return Lexicon(pc.unique(words))


def _phrases(texts: Iterable[str]) -> Lexicon:
    return Lexicon(pc.unique(phrases_of(pa.array(list(texts), pa.string()))))


def _listed(provider: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The texts of the lists of a kind of provider, over all locales, whose attribute's name is wanted."""
    package = importlib.import_module(f"faker.providers.{provider}")
    for locale in ("", *(f".{module.name}" for module in pkgutil.iter_modules(package.__path__))):
        yield from _of_module(importlib.import_module(f"faker.providers.{provider}{locale}"), wanted)


def _of_module(module: ModuleType, wanted: Callable[[str], bool]) -> Iterator[str]:
    attributes = [name for name in dir(module.Provider) if not name.startswith("_") and "format" not in name]
    for name in attributes:
        listed = getattr(module.Provider, name)
        if wanted(name) and isinstance(listed, tuple | list | dict | set):
            for entry in listed:
                yield from (
                    [entry] if isinstance(entry, str) else [part for part in entry if isinstance(part, str)]
                )


def _set(text: str, separator: str | None = None) -> Lexicon:
    """The words, or the phrases, of a text."""
    return Lexicon(pa.array(text.split(separator), pa.string()))


_COUNTRIES = (
    "USA",
    "UK",
    "U.S.A.",
    "England",
    "Scotland",
    "Wales",
    "EIRE",
    "Russia",
    "South Korea",
    "Czech Republic",
    "Holland",
    "Channel Islands",
    "Vietnam",
    "Iran",
    "Syria",
    "Laos",
    "Bolivia",
    "Tanzania",
    "RSA",
    "European Community",
)
_STREETS = (
    "st str street rd road ave av avenue blvd ln lane dr ct court pl plaza sq hwy pkwy way strasse"
    " gasse weg allee platz rue chemin quai route via viale corso piazza calle avenida avda rua"
    " travessa straat laan ulica ul gatan vagen gata vej gade veien katu tie utca ut ulice trg cesta"
)
_JOBS = (
    "engineer officer manager clerk assistant nurse teacher technician analyst director accountant"
    " coordinator specialist operator representative consultant worker driver developer administrator"
    " professor editor auditor secretary designer supervisor executive scientist mechanic programmer"
    " president planner attorney agent inspector therapist technologist cleaner installer lawyer"
    " physician"
)
_NO_STREETS = frozenset(
    _set(
        "aan and bend center centre da de des di do du el en fall field forest hill island key la lake"
        " las le les loop los mill mountain neck of park pass path plain point port rest river row run"
        " spring the trail van view walk"
    ).texts.to_pylist()
)

MEN = _set("m male man boy mr mann maennlich mannlich homme masculin hombre masculino maschio uomo")
"""Words for men."""
WOMEN = _set("f female woman girl w weiblich frau femme feminin mujer femenino feminino femmina donna")
"""Words for women."""
NEITHER = _set("other|unknown|diverse|divers|x|d|u|o|nonbinary|non binary|prefer not to say", "|")
"""Words for neither."""
MARITAL = _set(
    "single|married|divorced|widowed|separated|never married|married civ spouse|married af "
    "spouse|married spouse absent|domestic partner|civil partnership|partnered|unmarried|widow|"
    "widower|ledig|verheiratet|geschieden|verwitwet|celibataire|marie|mariee|divorce|veuf|"
    "soltero|soltera|casado|casada|divorciado|viudo|celibe|sposato|coniugato|divorziato",
    "|",
)
"""Ways to be married or not."""
ETHNICITIES = _set(
    "white|black|asian|hispanic|latino|native|other|mixed|caucasian|african american|black "
    "or african american|asian pac islander|amer indian eskimo|pacific islander|native american|"
    "american indian|hispanic or latino|nonhispanic|non hispanic|not hispanic or latino|white "
    "british|multiracial|two or more races|hawaiian|arab|indian",
    "|",
)
"""Groups of people by descent."""
ETHNIC_FOR_SURE = _set(
    "asian|hispanic|latino|caucasian|african american|black or african american|asian pac "
    "islander|nonhispanic|non hispanic|native american|pacific islander|white british",
    "|",
)
"""Those of them that are not colours, too."""
HONORIFICS = _set(
    "mr mrs ms miss dr prof sir mx madam herr frau monsieur madame mme mlle senor senora sr sra"
    " signor signora sig dott rev hon mister doctor professor dhr mevr"
)
"""Forms of address."""
COMPANIES = _set(
    "inc ltd llc gmbh corp co ag sa sarl spa srl bv nv plc oy ab as kft zrt limited incorporated"
    " company corporation group partners associates holdings sons"
)
"""What names of companies end with."""
STOP_WORDS = _set(
    "the a an and or of to in is are was were be been i my me you your he she it we they his her this"
    " that for with on at from by not have has had do does please can will would what how der die das"
    " und ist nicht ich sie mit von zu den ein eine le la les et est pas je vous avec pour un une des"
    " el los las que no es por con para il che non per sono di da de em um nao het een en van niet"
)
"""Words that sentences are held together by, in several languages."""
