"""The content of HTML pages, without their layout: of a plan, many plans, results and states."""

from .index import of_index
from .parts import Page
from .plan import of_plan
from .results import of_results
from .status import of_status

__all__ = ["Page", "of_index", "of_plan", "of_results", "of_status"]
