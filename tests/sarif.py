"""The rules of SARIF 2.1.0 (OASIS Standard, sections 3.13 to 3.59) for the objects that the audit
writes: which members an object may have, which it must have, and what each holds. Everything is
closed: a member that is not listed is an error, as in the published schema.
"""

import re
import urllib.parse

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# A member's rule: a type of Python, a set of words, a compiled pattern, [rule] for an array, a
# {"": rule} for an object with any keys, or the name of an object below. "!" marks what must be
# there, "unique" an array without repeats.
OBJECTS = {
    "sarifLog": {"$schema": "uri", "version!": {"2.1.0"}, "runs!": ["run"]},
    "run": {"tool!": "tool", "invocations": ["invocation"], "results": ["result"],
            "columnKind": {"utf16CodeUnits", "unicodeCodePoints"}},
    "tool": {"driver!": "toolComponent"},
    "toolComponent": {"name!": str, "version": str, "rules": ["reportingDescriptor"]},
    "reportingDescriptor": {"id!": str, "shortDescription": "multiformatMessageString",
                            "fullDescription": "multiformatMessageString",
                            "help": "multiformatMessageString",
                            "defaultConfiguration": "reportingConfiguration",
                            "properties": "propertyBag"},
    "multiformatMessageString": {"text!": str},
    "reportingConfiguration": {"level": {"none", "note", "warning", "error"}},
    "invocation": {"executionSuccessful!": bool, "endTimeUtc": TIME,
                   "toolExecutionNotifications": ["notification"]},
    "notification": {"message!": "message", "level": {"none", "note", "warning", "error"},
                     "associatedRule": "reportingDescriptorReference",
                     "locations": ["location"]},
    "reportingDescriptorReference": {"id!": str},
    "message": {"text!": str},
    "result": {"ruleId": str, "ruleIndex": int, "level": {"none", "note", "warning", "error"},
               "kind": {"notApplicable", "pass", "fail", "review", "open", "informational"},
               "message!": "message", "locations": ["location"],
               "partialFingerprints": {"": str}, "suppressions": ["suppression"]},
    "location": {"physicalLocation": "physicalLocation", "logicalLocations": ["logicalLocation"]},
    "physicalLocation": {"artifactLocation": "artifactLocation"},
    "artifactLocation": {"uri": "uri"},
    "logicalLocation": {"name": str, "kind": str},
    "suppression": {"kind!": {"inSource", "external"},
                    "status": {"accepted", "underReview", "rejected"}, "justification": str},
}


def _check_value(value, rule, path):
    if rule == "uri":
        if not isinstance(value, str) or re.search(r"[\s<>\"{}|\\^`]", value):
            raise AssertionError(f"{path}: {value!r} is no URI reference")
        urllib.parse.urlsplit(value)
    elif rule == "propertyBag":
        tags = value.get("tags", [])
        if not all(isinstance(tag, str) for tag in tags) or len(set(tags)) != len(tags):
            raise AssertionError(f"{path}: tags are texts without repeats: {tags!r}")
    elif isinstance(rule, str):
        _check_object(value, rule, path)
    elif isinstance(rule, list):
        if not isinstance(value, list):
            raise AssertionError(f"{path}: no array")
        for index, item in enumerate(value):
            _check_value(item, rule[0], f"{path}[{index}]")
    elif isinstance(rule, dict):
        for key, item in value.items():
            _check_value(item, rule[""], f"{path}.{key}")
    elif isinstance(rule, set):
        if value not in rule:
            raise AssertionError(f"{path}: {value!r} is none of {sorted(rule)}")
    elif isinstance(rule, re.Pattern):
        if not rule.fullmatch(value):
            raise AssertionError(f"{path}: {value!r}")
    elif type(value) is not rule:
        raise AssertionError(f"{path}: {value!r} is no {rule.__name__}")


def _check_object(value, name, path):
    rules = {key.rstrip("!"): rule for key, rule in OBJECTS[name].items()}
    if not isinstance(value, dict):
        raise AssertionError(f"{path}: no {name}")
    for key in OBJECTS[name]:
        if key.endswith("!") and key[:-1] not in value:
            raise AssertionError(f"{path}: a {name} without {key[:-1]}")
    for key, item in value.items():
        if key not in rules:
            raise AssertionError(f"{path}: a {name} has no {key}")
        _check_value(item, rules[key], f"{path}.{key}")


def check(log):
    """Raises an AssertionError that names the first breach."""
    _check_object(log, "sarifLog", "log")
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"].get("rules", [])]
        if len(set(rules)) != len(rules):
            raise AssertionError("two rules with one id")
        for result in run["results"]:
            if rules[result["ruleIndex"]] != result["ruleId"]:
                raise AssertionError(f"ruleIndex {result['ruleIndex']} is not {result['ruleId']}")
        prints = [tuple(sorted(result["partialFingerprints"].items())) for result in run["results"]]
        if len(set(prints)) != len(prints):
            raise AssertionError("two results with one fingerprint")
