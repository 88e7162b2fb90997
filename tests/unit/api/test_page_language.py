"""Which language a page speaks where several are chosen one after the other and their lists arrive in another order."""

from __future__ import annotations

from page_node import run

PAGE = """(async () => {
  const missing = { hidden: true };
  const root = { lang: "" };
  globalThis.document = { documentElement: root, getElementById: () => missing, querySelectorAll: () => [] };
  Object.defineProperty(globalThis, "navigator", { value: { languages: [] }, configurable: true });
  const asked = [];
  globalThis.fetch = (url) => new Promise((answer) => { asked.push([/(..)[.]json$/.exec(url)[1], answer]); });
  const list = (language) => ({ ok: true, json: async () => ({ menu: language }) });
  const answer = (place, given) => { asked[place][1](given); return new Promise((done) => { setTimeout(done); }); };
  %s
})()"""


def spoken(script: str) -> object:
    """``answer(n, list(language))`` answers the n-th request for a list; null in place of it is a failure."""
    return run("shared/language.js", f"await {PAGE % script}")


def test_the_last_choice_is_spoken_whatever_order_the_lists_arrive_in() -> None:
    script = """
      const [german, spanish] = [m.speak("de"), m.speak("es")];
      await answer(1, list("es"));
      await answer(0, list("de"));
      return [await german, await spanish, root.lang, i18n.t("menu"), missing.hidden];
    """

    assert spoken(script) == [False, True, "es", "es", True]


def test_a_list_that_nobody_waits_for_any_longer_is_not_asked_for_again_and_its_failure_is_not_told() -> None:
    script = """
      const [german, spanish] = [m.speak("de"), m.speak("es")];
      await answer(0, null);
      const silent = missing.hidden;
      await answer(1, null);
      const told = missing.hidden;
      return [await german, silent, told, asked.length];
    """

    assert spoken(script) == [False, True, False, 2]
