"""raise-opset: its table, and ONNX's own cases, mean the same in newer versions."""

import re
from collections import Counter
from pathlib import Path

import dwindle
import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper
from raised_models import FIRST, LAST, RUNTIME_LAST, close, compare, opset_of, raised
from side_by_side import expected


def rows():
    """(op, version) of every conversion, read from the tables of passes/convert."""
    folder = Path(__file__).parents[2] / "passes" / "convert"
    if not folder.is_dir():
        pytest.skip("the sources are not here")
    found = set()
    for file in folder.glob("*.cpp"):
        found |= {
            (op, int(version))
            for op, version in re.findall(r'\{"(\w+)", (\d+), ', file.read_text())
        }
    return found


def attributes_of(schema):
    return {
        name: None if a.default_value.type == 0 else helper.get_attribute_value(a.default_value)
        for name, a in schema.attributes.items()
    }


def types_of(schema, values):
    allowed = {t.type_param_str: set(t.allowed_type_strs) for t in schema.type_constraints}
    return [allowed.get(value.type_str, {value.type_str}) for value in values]


def losses(old, new):
    """What a node that the older schema allows may have that the newer one takes otherwise."""
    before, after = attributes_of(old), attributes_of(new)
    yield from (f"attribute {name} went" for name in before if name not in after)
    yield from (
        f"{name} has another default"
        for name in before
        if name in after and before[name] != after[name] and before[name] is not None
    )
    yield from (
        f"attribute {name} is required"
        for name, a in new.attributes.items()
        if a.required and not (name in before and old.attributes[name].required)
    )
    if new.deprecated and not old.deprecated:
        yield "deprecated"
    if new.min_input > old.min_input or new.max_input < old.max_input:
        yield "another number of inputs"
    if new.min_output > old.min_output or new.max_output < old.max_output:
        yield "another number of outputs"
    for which in ("inputs", "outputs"):
        pairs = zip(types_of(old, getattr(old, which)), types_of(new, getattr(new, which)))
        if not new.deprecated and any(a - b for a, b in pairs):
            yield f"fewer types of {which}"


def test_every_step_that_gives_something_up_has_a_row():
    history = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)
    table, missing = rows(), []
    for op, schemas in history.items():
        schemas.sort(key=lambda schema: schema.since_version)
        for old, new in zip(schemas, schemas[1:]):
            step = (op, new.since_version)
            lost = list(losses(old, new))
            if FIRST < new.since_version <= LAST and lost and step not in table:
                missing.append((step, lost))
    assert not missing
    known = {(op, s.since_version) for op, schemas in history.items() for s in schemas}
    assert table <= known


def older_forms():
    """ONNX's node cases as models of the oldest version that takes them as they are."""
    from dwindle import backend

    versions = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version >= FIRST:
            versions.setdefault(schema.name, {FIRST}).add(schema.since_version)
    for case in backend.node_cases():
        if len(case.model.graph.node) != 1 or case.model.graph.node[0].domain:
            continue
        for version in sorted(versions.get(case.model.graph.node[0].op_type, {FIRST})):
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            model.opset_import[0].version = version
            model.ir_version = 8
            try:
                onnx.checker.check_model(model, full_check=True)
            except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
                continue
            if version < min(opset_of(case.model), RUNTIME_LAST):
                yield case, model
            break


def test_node_cases_mean_the_same_in_newer_versions():
    """Where no conversion is made, none is needed: what runs in an older version says so."""
    compared = Counter()
    for case, model in older_forms():
        arrays = case.data_sets[0][0]
        names = [value.name for value in model.graph.input]
        feeds = dict(zip(names, arrays, strict=False))
        wanted = expected(model, feeds)
        if wanted is None:
            continue
        try:
            after = raised(model, RUNTIME_LAST)
        except dwindle.Unsupported as error:
            assert "cannot be brought from opset" in str(error)
            continue
        got = expected(after, feeds)
        if got is None or "bernoulli" in case.name:
            continue  # the runtime lags behind, or is random
        if all(isinstance(value, np.ndarray) for value in wanted):
            close(wanted, got, f"{case.name} from {opset_of(model)}")
            compared[model.graph.node[0].op_type] += 1
    assert sum(compared.values()) > 600
    assert len(compared) > 120


def test_models_that_come_with_onnx():
    from onnx.backend.test import loader

    compared = 0
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in loader.load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            if opset_of(model) < FIRST or not (folder / "test_data_set_0").is_dir():
                continue
            names = [value.name for value in model.graph.input]
            feeds = {}
            for i, name in enumerate(names):
                path = folder / "test_data_set_0" / f"input_{i}.pb"
                if not path.exists():
                    continue
                tensor = TensorProto()
                try:
                    tensor.ParseFromString(path.read_bytes())
                    feeds[name] = numpy_helper.to_array(tensor)
                except Exception:
                    break  # a sequence or an optional
            else:
                compared += compare(model, feeds)
    assert compared > 50
