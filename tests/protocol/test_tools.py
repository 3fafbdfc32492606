"""Tools, the choice among them, the form of the answer."""

import pytest

from server.protocol import NamedTool, ResponseFormat, Tool


def tool(name: object = "look", **members: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, **members}}


def named(name: str) -> dict[str, object]:
    return {"type": "function", "function": {"name": name}}


def test_tools_are_normalised(chat) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [
        tool("a", description="Looks.", parameters=schema, strict=True),
        tool("b", description=None, parameters=None, strict=None, extra=1),
        {"function": {"name": "c", "parameters": {}}, "x": 1},
        {"type": None, "function": {"name": "d"}},
    ]
    assert chat(tools=tools).tools == (
        Tool("a", "Looks.", schema, True),
        Tool("b"),
        Tool("c", None, {}),
        Tool("d"),
    )


@pytest.mark.parametrize("absent", [[], None])
def test_no_tools_are_as_if_absent(absent, chat) -> None:
    assert chat(tools=absent) == chat()


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 64])
def test_names_by_openais_rule(name, chat) -> None:
    assert chat(tools=[tool(name)]).tools[0].name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a.b", "a\0", "a\n", "é", "<tool>"])
def test_names_against_it(name, faults) -> None:
    assert faults(tools=[tool(name)]) == [("invalid_string", ("tools", "0", "function", "name"))]


@pytest.mark.parametrize(
    ("bad", "code", "path"),
    [
        ({}, "invalid_type", ("function",)),
        ("look", "invalid_type", ()),
        ({**tool(), "type": "custom"}, "invalid_enum_value", ("type",)),
        ({"type": "function", "function": {}}, "invalid_type", ("function", "name")),
        (tool(5), "invalid_type", ("function", "name")),
        (tool(description=5), "invalid_type", ("function", "description")),
        (tool(parameters="{}"), "invalid_type", ("function", "parameters")),
        (tool(strict="yes"), "invalid_type", ("function", "strict")),
    ],
)
def test_malformed_tools(bad, code, path, faults) -> None:
    assert faults(tools=[tool("other"), bad]) == [(code, ("tools", "1", *path))]


def test_every_repeated_name_is_a_fault(faults) -> None:
    assert faults(tools=[tool("a"), tool("b"), tool("a"), tool("a", parameters=1)]) == [
        ("invalid_type", ("tools", "3", "function", "parameters")),
        ("custom", ("tools", "2", "function", "name")),
        ("custom", ("tools", "3", "function", "name")),
    ]


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_choices_by_mode(mode, chat) -> None:
    assert chat(tools=[tool()], tool_choice=mode).tool_choice == mode


def test_choices_by_name(chat) -> None:
    assert chat(tools=[tool("a"), tool("b")], tool_choice=named("b")).tool_choice == NamedTool("b")


@pytest.mark.parametrize("tools", [{}, {"tools": []}, {"tools": None}])
@pytest.mark.parametrize("mode", ["auto", "none"])
def test_without_tools_nothing_need_be_chosen(tools, mode, chat) -> None:
    assert chat(**tools, tool_choice=mode).tool_choice == mode


@pytest.mark.parametrize("tools", [{}, {"tools": []}, {"tools": None}])
@pytest.mark.parametrize("choice", ["required", named("look")])
def test_without_tools_nothing_can_be_forced(tools, choice, faults) -> None:
    assert faults(**tools, tool_choice=choice) == [("custom", ("tool_choice",))]


def test_the_named_tool_must_be_there(faults) -> None:
    assert faults(tools=[tool("a")], tool_choice=named("b")) == [("custom", ("tool_choice", "function", "name"))]


@pytest.mark.parametrize(
    ("choice", "code", "path"),
    [
        ("any", "invalid_enum_value", ()),
        (5, "invalid_type", ()),
        (["auto"], "invalid_type", ()),
        ({"type": "function"}, "invalid_type", ("function",)),
        ({"type": "function", "function": {}}, "invalid_type", ("function", "name")),
        ({"type": "custom", "function": {"name": "look"}}, "invalid_enum_value", ("type",)),
    ],
)
def test_malformed_choices(choice, code, path, faults) -> None:
    assert faults(tools=[tool()], tool_choice=choice) == [(code, ("tool_choice", *path))]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("wire", "form"),
    [
        ({"type": "text"}, ResponseFormat("text")),
        ({"type": "json_object", "x": 1}, ResponseFormat("json_object")),
        ({"type": "text", "json_schema": 5}, ResponseFormat("text")),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}}, ResponseFormat("json_schema", SCHEMA)),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True, "description": "b"}},
            ResponseFormat("json_schema", {}, True),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": None}},
            ResponseFormat("json_schema", SCHEMA),
        ),
    ],
)
def test_formats(wire, form, chat) -> None:
    assert chat(response_format=wire).response_format == form


@pytest.mark.parametrize(
    ("wire", "code", "path"),
    [
        ({}, "invalid_type", ("type",)),
        ({"type": "xml"}, "invalid_enum_value", ("type",)),
        ({"type": None}, "invalid_enum_value", ("type",)),
        ("json_object", "invalid_type", ()),
        ({"type": "json_schema"}, "invalid_type", ("json_schema",)),
        ({"type": "json_schema", "json_schema": {"name": "a"}}, "invalid_type", ("json_schema", "schema")),
        ({"type": "json_schema", "json_schema": {"schema": None}}, "invalid_type", ("json_schema", "schema")),
        ({"type": "json_schema", "json_schema": {"schema": True}}, "invalid_type", ("json_schema", "schema")),
        ({"type": "json_schema", "json_schema": {"schema": {}, "name": 5}}, "invalid_type", ("json_schema", "name")),
        (
            {"type": "json_schema", "json_schema": {"schema": {}, "strict": 1}},
            "invalid_type",
            ("json_schema", "strict"),
        ),
    ],
)
def test_malformed_formats(wire, code, path, faults) -> None:
    assert faults(response_format=wire) == [(code, ("response_format", *path))]
