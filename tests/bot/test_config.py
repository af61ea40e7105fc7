from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import (
    Settings,
    given_names,
    inner_pages,
    load_settings,
    not_in_this_version,
    settings_table,
    without_effect,
)
from bot.errors import SettingsError
from bot.model_names import KNOWN
from bot.settings.cores import usable_cores, usable_processors
from bot.settings.kinds import PLATFORMS, WEBHOOKS

SLACK = {"SLACK_BOT_TOKEN": "xoxb-1-2", "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99yyyzzz85a5"}


def write(folder: Path, text: str) -> None:
    (folder / "parley.toml").write_text(text, encoding="utf-8")


def problems(environ: dict[str, str], folder: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, folder)
    return caught.value.problems


def test_without_any_setting_parley_uses_the_embedded_model_on_loopback(tmp_path: Path) -> None:
    settings = load_settings({}, tmp_path)
    assert (settings.model, settings.host, settings.port) == ("smollm2", "127.0.0.1", 3978)
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/parley.db"
    assert settings.personalities.is_dir()
    assert settings.platforms == ()
    assert given_names(settings) == []


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    write(tmp_path, 'port = 1\nqueue = 9\n[slack]\nbot_token = "xoxb-file"\n')
    settings = load_settings({"PARLEY_PORT": "2", **SLACK}, tmp_path)
    assert (settings.port, settings.queue, settings.running) == (2, 9, 16)
    assert settings.platform("slack")["bot_token"] == "xoxb-1-2"
    assert "PARLEY_QUEUE" in given_names(settings)


def test_every_mistake_is_reported_at_once_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, '# ours\nrunning = "many"\n[teams]\nservice_hosts = 3\n')
    environ = {"PARLEY_PORT": "99999", "PARLEY_LOG_LEVEL": "loud", "PARLEY_HOST": "0.0.0.0"}
    assert problems(environ, tmp_path) == [
        "running (parley.toml, line 2) is 'many'; it must be a whole number.",
        "PARLEY_PORT in the environment is '99999'; it must be at most 65535.",
        "PARLEY_LOG_LEVEL in the environment is 'loud'; "
        "it must be 'debug', 'info', 'warning' or 'error'.",
        "service_hosts in [teams] (parley.toml, line 4) is 3; it must be a list of texts.",
        "PARLEY_HOST is 0.0.0.0, which other machines can reach, but no key is set; "
        "set PARLEY_API_KEYS or PARLEY_BASIC_AUTH, or listen on 127.0.0.1.",
    ]


def test_an_unknown_name_is_a_mistake_with_the_likely_right_one(tmp_path: Path) -> None:
    write(tmp_path, 'modle = "x"\ncolour = 1\n[slack]\nbot_tokn = "x"\n')
    assert problems({"PARLEY_KV_TOKNES": "1"}, tmp_path) == [
        "modle (parley.toml, line 1) is no setting of Parley; did you mean model?",
        "colour (parley.toml, line 2) is no setting of Parley; remove it.",
        "bot_tokn in [slack] (parley.toml, line 4) is no setting of Parley; "
        "did you mean bot_token?",
        "PARLEY_KV_TOKNES in the environment is no setting of Parley; "
        "did you mean PARLEY_KV_TOKENS?",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"port = = 1", "parley.toml is not valid TOML: Invalid value (at line 1, column 8)."),
        (b"model = '\xff'", "parley.toml is not UTF-8 text; save it as UTF-8."),
        (b"slack = 3", "slack in parley.toml must be a table; write [slack]."),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "parley.toml").write_bytes(content)
    assert problems({}, tmp_path) == [sentence]


def test_a_folder_named_like_the_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").mkdir()
    assert problems({}, tmp_path) == ["parley.toml cannot be read: Is a directory."]


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    settings = load_settings({"PARLEY_PORT": "", "SLACK_BOT_TOKEN": " "}, tmp_path)
    assert settings.port == 3978
    assert settings.platforms == ()


def test_lists_are_comma_separated_in_the_environment_and_arrays_in_the_file(
    tmp_path: Path,
) -> None:
    write(tmp_path, 'deny = ["slack:T01/U01", "discord:*"]\n')
    settings = load_settings({"PARLEY_ALLOW": "slack:T01, slack:T02/C1"}, tmp_path)
    assert settings.allow == ("slack:T01", "slack:T02/C1")
    assert settings.deny == ("slack:T01/U01", "discord:*")


@pytest.mark.parametrize(
    ("given", "num_bytes"),
    [("1G", 1 << 30), ("500M", 500 << 20), ("1.5 GiB", 3 << 29), ("64kb", 65536), ("7", 7)],
)
def test_bytes_may_have_a_suffix(tmp_path: Path, given: str, num_bytes: int) -> None:
    assert load_settings({"PARLEY_PARKED_MEMORY": given}, tmp_path).parked_memory == num_bytes


@pytest.mark.parametrize("given", ["1X", "-1", "a lot"])
def test_bytes_that_are_none_are_refused(tmp_path: Path, given: str) -> None:
    assert problems({"PARLEY_PARKED_DISK": given}, tmp_path) == [
        f"PARLEY_PARKED_DISK in the environment is {given!r}; "
        "it must be a number of bytes such as 500M or 2G."
    ]


@pytest.mark.parametrize("name", ["PARLEY_QUEUE", "PARLEY_RUNNING", "PARLEY_MAX_TOKENS"])
def test_a_negative_number_is_refused(tmp_path: Path, name: str) -> None:
    assert problems({name: "-3"}, tmp_path) == [
        f"{name} in the environment is '-3'; it must be at least 1."
    ]


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-from-file\n")
    environ = {**SLACK, "SLACK_BOT_TOKEN": "", "SLACK_BOT_TOKEN_FILE": "token"}
    settings = load_settings(environ, tmp_path)
    assert settings.platform("slack")["bot_token"] == "xoxb-from-file"


def test_keys_in_a_file_stand_one_to_a_line(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("ci:one\nother\n")
    write(tmp_path, 'api_keys_file = "keys"\nhost = "0.0.0.0"\n')
    keys = load_settings({}, tmp_path).api_keys
    assert {name: key.get_secret_value() for name, key in keys.items()} == {
        "ci": "one",
        "key-d9298a": "other",
    }


def test_a_secret_given_twice_and_a_secret_file_that_is_missing_are_mistakes(
    tmp_path: Path,
) -> None:
    environ = {
        **SLACK,
        "SLACK_BOT_TOKEN_FILE": "token",
        "PARLEY_API_KEYS_FILE": "nowhere",
        "PARLEY_HOST": "0.0.0.0",
    }
    found = problems(environ, tmp_path)
    assert sorted(found) == [
        "PARLEY_API_KEYS_FILE in the environment cannot be read: No such file or directory.",
        "SLACK_BOT_TOKEN_FILE in the environment and SLACK_BOT_TOKEN in the environment are "
        "both set; keep one.",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"SLACK_BOT_TOKEN": "hunter2", "SLACK_SIGNING_SECRET": "hunter2"},
        {"SLACK_BOT_TOKEN": "xoxb-hunter2"},
        {"PARLEY_BASIC_AUTH": "hunter2"},
        {"PARLEY_API_KEYS": "a:hunter2,a:hunter2"},
        {**SLACK, "SLACK_APP_TOKEN": "hunter2"},
    ],
)
def test_a_wrong_secret_is_never_shown(tmp_path: Path, environ: dict[str, str]) -> None:
    (problem,) = problems(environ, tmp_path)
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "environ",
    [
        {"PARLEY_PUBLIC_URL": "https://parley.example.com/"},
        {"PARLEY_TRUSTED_PROXIES": "10.1.2.3"},
        SLACK,
        {"PARLEY_ADAPTERS": "teams"},
    ],
)
def test_parley_is_public_with_an_address_a_proxy_or_a_webhook(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert load_settings(environ, tmp_path).is_public
    assert not load_settings({"DISCORD_TOKEN": "t"}, tmp_path).is_public
    socket_mode = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
    assert not load_settings(socket_mode, tmp_path).is_public


def test_every_platform_with_a_webhook_is_known_for_it() -> None:
    adapters = Path(__file__).parents[2] / "adapters"
    assert [p for p in PLATFORMS if [*(adapters / p).rglob("webhook.py")]] == [*WEBHOOKS]


@pytest.mark.parametrize(
    "url", ["parley.example.com", "ftp://a", "https://u:p@a", "https://a/b", "https://a?b"]
)
def test_a_public_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    (problem,) = problems({"PARLEY_PUBLIC_URL": url}, tmp_path)
    assert problem.startswith(f"PARLEY_PUBLIC_URL in the environment is '{url}'; it must ")


@pytest.mark.parametrize(
    "outside",
    [
        {"PARLEY_PUBLIC_URL": "https://parley.example.com"},
        {"PARLEY_TRUSTED_PROXIES": "127.0.0.1"},
    ],
)
def test_teams_without_an_app_id_is_for_a_parley_that_is_not_public(
    tmp_path: Path, outside: dict[str, str]
) -> None:
    assert problems({"PARLEY_ADAPTERS": "teams", **outside}, tmp_path) == [
        "PARLEY_ADAPTERS names teams, but TEAMS_APP_ID is not set; set it."
    ]


@pytest.mark.parametrize("name", ["PARLEY_API_KEYS", "PARLEY_BASIC_AUTH"])
def test_no_key_is_named_like_this_machines_own_programs(tmp_path: Path, name: str) -> None:
    assert problems({name: "local:hunter2"}, tmp_path) == [
        f"{name} in the environment is wrong; local is the name of this machine's own programs; "
        "use another."
    ]


@pytest.mark.parametrize("name", ["api_keys", "basic_auth"])
def test_no_key_is_named_like_somebody_who_has_signed_in(tmp_path: Path, name: str) -> None:
    write(tmp_path, f'[{name}]\n"user:ann" = "hunter2"\n')
    (problem,) = problems({}, tmp_path)
    assert problem.endswith("is wrong; a name must have no colon.")


def test_proxies_are_addresses_and_networks(tmp_path: Path) -> None:
    given = ("127.0.0.1", "10.1.0.0/16", "::1", "fd00::/8")
    environ = {"PARLEY_TRUSTED_PROXIES": ", ".join(given), "PARLEY_HOST": "0.0.0.0"}
    assert load_settings(environ, tmp_path).trusted_proxies == given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("nginx", "is no address or network such as 10.1.2.3 or 10.1.0.0/16"),
        ("10.1.2.3/16", "is no address or network such as 10.1.2.3 or 10.1.0.0/16"),
        ("10.1.2.3:80", "is no address or network such as 10.1.2.3 or 10.1.0.0/16"),
        ("*", "is no address or network such as 10.1.2.3 or 10.1.0.0/16"),
        ("0.0.0.0/0", "is everybody, and anybody could claim to be anybody"),
        ("::/0", "is everybody, and anybody could claim to be anybody"),
    ],
)
def test_a_proxy_that_cannot_be_told_from_strangers_is_refused(
    tmp_path: Path, given: str, why: str
) -> None:
    (problem,) = problems({"PARLEY_TRUSTED_PROXIES": given}, tmp_path)
    assert problem == (f"PARLEY_TRUSTED_PROXIES in the environment is {given!r}; {given!r} {why}.")


def test_models_have_other_names_in_the_environment_or_the_file(tmp_path: Path) -> None:
    aliases = {"gpt-3.5-turbo": "assistant", "*": "default"}
    environ = {"PARLEY_MODEL_ALIASES": "gpt-3.5-turbo=assistant, *=default"}
    assert load_settings(environ, tmp_path).model_aliases == aliases
    write(tmp_path, '[model_aliases]\n"gpt-3.5-turbo" = "assistant"\n"*" = "default"\n')
    assert load_settings({}, tmp_path).model_aliases == aliases


@pytest.mark.parametrize("given", ["gpt-4o", "gpt-4o=", "=assistant", "a=b,a=c"])
def test_an_alias_that_names_no_model_is_refused(tmp_path: Path, given: str) -> None:
    (problem,) = problems({"PARLEY_MODEL_ALIASES": given}, tmp_path)
    assert problem.startswith(f"PARLEY_MODEL_ALIASES in the environment is {given!r}; ")


def test_secrets_do_not_show_in_the_repr_of_settings(tmp_path: Path) -> None:
    environ = {
        "SLACK_BOT_TOKEN": "xoxb-hunter2",
        "SLACK_SIGNING_SECRET": "hunter2",
        "PARLEY_API_KEYS": "ci:hunter2",
        "PARLEY_BASIC_AUTH": "ada:hunter2",
        "PARLEY_DATABASE_URL": "postgresql://ada:hunter2@db/parley",
    }
    assert "hunter2" not in repr(load_settings(environ, tmp_path))


def test_a_bot_token_alone_cannot_run_slack(tmp_path: Path) -> None:
    assert problems({"SLACK_BOT_TOKEN": "xoxb-1"}, tmp_path) == [
        "SLACK_BOT_TOKEN is set, but neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is; set the "
        "app token for Socket Mode, which needs no public address, or the signing secret for "
        "deliveries to /slack/events."
    ]


def test_a_platform_runs_when_its_token_is_set_or_when_it_is_named(tmp_path: Path) -> None:
    everything = {**SLACK, "DISCORD_TOKEN": "t", "TEAMS_APP_ID": "a"}
    assert load_settings(everything, tmp_path).platforms == ("slack", "discord", "teams")
    named = {**everything, "PARLEY_ADAPTERS": "slack"}
    assert load_settings(named, tmp_path).platforms == ("slack",)


def test_a_named_platform_needs_its_token_but_teams_on_loopback(tmp_path: Path) -> None:
    assert load_settings({"PARLEY_ADAPTERS": "teams"}, tmp_path).platforms == ("teams",)
    open_to_all = {
        "PARLEY_ADAPTERS": "teams,slack",
        "PARLEY_HOST": "0.0.0.0",
        "PARLEY_API_KEYS": "k",
    }
    assert problems(open_to_all, tmp_path) == [
        "PARLEY_ADAPTERS names teams, but TEAMS_APP_ID is not set; set it.",
        "PARLEY_ADAPTERS names slack, but SLACK_BOT_TOKEN is not set; set it.",
    ]
    assert problems({"PARLEY_ADAPTERS": "irc"}, tmp_path) == [
        "PARLEY_ADAPTERS in the environment is 'irc'; 'irc' is no chat platform; "
        "known are slack, discord, teams."
    ]


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://slack.example.com/api/", "https:// unless the server is on this machine"),
        ("slack.example.com", "an address that begins with http:// or https://"),
        ("https://me:hunter2@slack.example.com", "must not contain a user name or a password"),
    ],
)
def test_tokens_are_sent_encrypted_or_to_this_machine(
    tmp_path: Path, url: str, advice: str
) -> None:
    (problem,) = problems({"SLACK_API_URL": url}, tmp_path)
    assert advice in problem


def test_a_test_server_on_this_machine_needs_no_encryption(tmp_path: Path) -> None:
    environ = {
        "SLACK_API_URL": "http://127.0.0.1:4601/api/",
        "DISCORD_GATEWAY_URL": "ws://127.0.0.1:9100/",
    }
    settings = load_settings(environ, tmp_path)
    assert settings.platform("slack") == {"api_url": "http://127.0.0.1:4601/api/"}
    assert settings.discord.gateway_url == "ws://127.0.0.1:9100/"


def test_several_model_servers_may_stand_in_a_network_of_ones_own(tmp_path: Path) -> None:
    given = {"PARLEY_ENGINE_URL": "http://gpu1:8080, https://gpu2/v1", "PARLEY_ENGINE_KEY": "sk-1"}
    settings = load_settings(given, tmp_path)
    assert settings.engine_url == ("http://gpu1:8080", "https://gpu2/v1")
    assert settings.is_remote
    assert not load_settings({}, tmp_path).is_remote


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("PARLEY_ENGINE_URL", "gpu1:8080", "is no address such as http://127.0.0.1:8080/v1"),
        ("PARLEY_ENGINE_URL", "http://me:hunter2@gpu1", "must hold no user name"),
        ("PARLEY_ENGINE_URL", "http://gpu1/?api=1", "must hold no user name, password, ? or #"),
        ("PARLEY_ENGINE_KEY", "two words", "a key holds no blanks"),
        ("PARLEY_ENGINE_SESSION_HEADER", "x user", "is no name of a header, such as x-user-id"),
        ("PARLEY_ENGINE_SESSION_HEADER", "Authorization", "requests have this header already"),
        ("PARLEY_ENGINE_SESSION_HEADER", "content-type", "requests have this header already"),
        ("PARLEY_ENGINE_CACHE_SALT", "maybe", "'auto', 'on' or 'off'"),
    ],
)
def test_a_model_server_that_cannot_be_asked_is_a_mistake(
    tmp_path: Path, name: str, value: str, advice: str
) -> None:
    (problem,) = problems({name: value}, tmp_path)
    assert advice in problem
    assert "two words" not in problem


def test_a_key_for_remote_models_without_their_servers_has_no_effect(tmp_path: Path) -> None:
    alone = load_settings({"PARLEY_REMOTE_KEY": "k"}, tmp_path)
    assert "PARLEY_REMOTE_KEY has no effect: PARLEY_REMOTE_URL is not set." in without_effect(alone)
    both = {"PARLEY_REMOTE_KEY": "k", "PARLEY_REMOTE_URL": "https://api.example.com/v1"}
    assert without_effect(load_settings(both, tmp_path)) == []


def test_what_a_setting_of_the_engine_is_without_effect_for_is_said(tmp_path: Path) -> None:
    alone = load_settings({"PARLEY_ENGINE_KEY": "k"}, tmp_path)
    assert "PARLEY_ENGINE_KEY has no effect: PARLEY_ENGINE_URL is not set." in without_effect(alone)
    local = {"PARLEY_MODEL": "a.gguf", "PARLEY_GPU_LAYERS": "0", "PARLEY_SPECULATION": "off"}
    both = {"PARLEY_ENGINE_URL": "http://gpu1", **local}
    assert (
        "PARLEY_GPU_LAYERS, PARLEY_MODEL, PARLEY_SPECULATION have no effect: servers run the model."
        in without_effect(load_settings(both, tmp_path))
    )


def test_a_draft_model_is_used_only_where_drafts_are(tmp_path: Path) -> None:
    given = {"PARLEY_DRAFT_MODEL": "small.gguf"}
    small = str(tmp_path / "small.gguf")
    assert load_settings(given, tmp_path).draft_source == small
    assert load_settings({}, tmp_path).draft_source is None
    for other, why in (
        ({"PARLEY_SPECULATION": "off"}, "PARLEY_SPECULATION is off"),
        ({"PARLEY_ENGINE_URL": "http://gpu1"}, "servers run the model"),
    ):
        settings = load_settings({**given, **other}, tmp_path)
        assert settings.draft_source is None
        assert f"PARLEY_DRAFT_MODEL has no effect: {why}." in without_effect(settings)


def test_an_access_rule_that_cannot_match_is_a_mistake(tmp_path: Path) -> None:
    (problem,) = problems({"PARLEY_DENY": "U01"}, tmp_path)
    assert problem.startswith("PARLEY_DENY: 'U01' is no rule;")


def test_stop_reactions_given_as_a_list_hold_everywhere_and_as_a_table_where_named(
    tmp_path: Path,
) -> None:
    everywhere = load_settings({"PARLEY_STOP_REACTIONS": "x, no_entry"}, tmp_path)
    assert everywhere.stop_reactions["discord"] == ("x", "no_entry")
    write(tmp_path, '[stop_reactions]\nslack = ["boom"]\n')
    named = load_settings({}, tmp_path)
    assert named.stop_reactions["slack"] == ("boom",)
    assert "🛑" in named.stop_reactions["discord"]


def test_the_pool_grows_with_the_context_unless_it_is_set(tmp_path: Path) -> None:
    assert load_settings({"PARLEY_CONTEXT": "32768"}, tmp_path).kv_tokens == 32768
    both = {"PARLEY_CONTEXT": "32768", "PARLEY_KV_TOKENS": "4096"}
    (problem,) = problems(both, tmp_path)
    assert problem.startswith("PARLEY_CONTEXT is 32768, more than the 4096")


def test_a_model_is_looked_for_in_this_folder_and_then_among_the_models(tmp_path: Path) -> None:
    settings = load_settings({"PARLEY_MODEL": "big.gguf"}, tmp_path)
    assert settings.model_source == str(tmp_path / "big.gguf")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "big.gguf").touch()
    assert settings.model_source == str(tmp_path / "models" / "big.gguf")


@pytest.mark.parametrize("model", ["hf:a/b", "hf:a/b:*q4*", "hf:a/b:big.gguf", "qwen3-4b"])
def test_a_model_of_the_hub_is_not_looked_for_here(tmp_path: Path, model: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "b:big.gguf").touch()
    settings = load_settings({"PARLEY_MODEL": model}, tmp_path)
    assert settings.model_source == model
    assert not_in_this_version(settings) == []


def test_a_name_of_the_hub_in_another_form_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"PARLEY_MODEL": "hf:big"}, tmp_path)
    assert caught.value.problems == [
        "PARLEY_MODEL in the environment is 'hf:big'; it must be hf:owner/repository, and after "
        "another colon which of its files, such as hf:owner/repository:*Q4_K_M.gguf."
    ]


def test_the_table_names_every_model_that_has_a_short_name() -> None:
    row = next(line for line in settings_table().splitlines() if "`PARLEY_MODEL`" in line)
    assert all(f"`{name}`" in row for name in KNOWN)


@pytest.mark.parametrize(
    ("environ", "beginning"),
    [
        ({"PARLEY_DATABASE_URL": "postgresql://db/p"}, "PARLEY_DATABASE_URL must begin with"),
    ],
)
def test_what_this_version_cannot_do_is_said(
    tmp_path: Path, environ: dict[str, str], beginning: str
) -> None:
    (problem,) = not_in_this_version(load_settings(environ, tmp_path))
    assert problem.startswith(beginning)


def test_links_are_those_that_are_known_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path).links == "known"
    assert load_settings({"PARLEY_LINKS": "None"}, tmp_path).links == "none"
    assert problems({"PARLEY_LINKS": "some"}, tmp_path) == [
        "PARLEY_LINKS in the environment is 'some'; it must be 'known', 'all' or 'none'."
    ]


@pytest.mark.parametrize("given", ["intranet", "http://intranet:80", "intranet:0", "10.0.0:80"])
def test_a_host_to_read_pages_from_needs_its_port(tmp_path: Path, given: str) -> None:
    (problem,) = problems({"PARLEY_FETCH_ALLOW": f"wiki.example:443, {given}"}, tmp_path)
    assert problem.endswith(
        f"{given!r} is no host with a port, such as intranet.example:443 or 10.1.2.3:8080."
    )


def test_that_pages_of_inner_networks_may_be_read_is_said(tmp_path: Path) -> None:
    settings = load_settings({"PARLEY_FETCH_ALLOW": "intranet:80, [fd00::1]:443"}, tmp_path)
    (note,) = inner_pages(settings)
    assert note.endswith("see those of intranet:80, [fd00::1]:443.")
    assert inner_pages(load_settings({}, tmp_path)) == without_effect(settings) == []


def test_a_setting_without_effect_is_said(tmp_path: Path) -> None:
    environ = {
        **SLACK,
        "PARLEY_ENGINE_MODEL": "llama",
    }
    settings = load_settings(environ, tmp_path)
    assert not_in_this_version(settings) == []
    assert [note.split(" has")[0].split(" have")[0] for note in without_effect(settings)] == [
        "PARLEY_ENGINE_MODEL",
    ]
    assert without_effect(load_settings({"PARLEY_OPTIMIZE": "auto"}, tmp_path)) == []


@pytest.mark.parametrize(
    ("environ", "note"),
    [
        ({"SLACK_APP_TOKEN": "xapp-1"}, "SLACK_APP_TOKEN has no effect: SLACK_BOT_TOKEN"),
        (
            {"SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": "s"},
            "SLACK_SIGNING_SECRET, SLACK_APP_TOKEN have no effect: SLACK_BOT_TOKEN",
        ),
        ({"TEAMS_APP_PASSWORD": "p"}, "TEAMS_APP_PASSWORD has no effect: TEAMS_APP_ID"),
        ({"DISCORD_THREADS": "false"}, "DISCORD_THREADS has no effect: DISCORD_TOKEN"),
    ],
)
def test_half_of_what_a_platform_needs_is_said_to_be_half(
    tmp_path: Path, environ: dict[str, str], note: str
) -> None:
    assert without_effect(load_settings(environ, tmp_path)) == [f"{note} is not set."]


def test_the_model_gets_no_more_threads_than_asked_for(tmp_path: Path) -> None:
    assert load_settings({"PARLEY_CPU_THREADS": "3"}, tmp_path).num_threads == 3
    assert load_settings({}, tmp_path).num_threads >= 1


@pytest.mark.parametrize(
    ("limit", "at_most"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", 10_000), ("nonsense", 10_000)],
)
def test_a_container_gets_threads_for_its_share_of_the_machine(
    tmp_path: Path, limit: str, at_most: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    for usable in (usable_cores, usable_processors):
        assert usable(tmp_path / "cpu.max") == min(usable(tmp_path / "no such file"), at_most)
    assert usable_processors() >= usable_cores()


def test_the_table_for_the_readme_has_a_row_with_a_meaning_for_every_setting() -> None:
    rows = settings_table().splitlines()[2:]
    num_settings = len(Settings.model_fields) - 3 + 4 + 7 + 7
    assert len(rows) == num_settings
    assert all(row.split("|")[3].strip() for row in rows)
    assert "| `PARLEY_PORT` | `3978` | Port of the page, the HTTP APIs and the webhooks. |" in rows


@pytest.mark.parametrize(
    ("origin", "kept"),
    [
        ("https://chat.example.com/", "https://chat.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        *[(text, text) for text in ("null", "file://", "tauri://localhost", "app://obsidian.md")],
        ("chrome-extension://abcdefghijklmnop/", "chrome-extension://abcdefghijklmnop"),
        ("moz-extension://3c1e-4f", "moz-extension://3c1e-4f"),
    ],
)
def test_pages_of_sites_apps_and_extensions_can_be_let_in(
    tmp_path: Path, origin: str, kept: str
) -> None:
    settings = load_settings({"PARLEY_CORS_ORIGINS": f"https://a.example, {origin}"}, tmp_path)
    assert settings.cors_origins == ("https://a.example", kept)


@pytest.mark.parametrize(
    "origin",
    [
        *["chat.example.com", "https://", "tauri:localhost", "//localhost", "nil", "file:///home"],
        *["https://a.example/chat", "https://a.example?x", "https://a.example#x"],
        *["https://me@a.example", "chrome-extension://abc/page.html", "*"],
    ],
)
def test_what_no_browser_sends_as_an_origin_is_a_mistake(tmp_path: Path, origin: str) -> None:
    (problem,) = problems({"PARLEY_CORS_ORIGINS": origin}, tmp_path)
    assert f"{origin!r} is no origin such as https://chat.example.com" in problem
