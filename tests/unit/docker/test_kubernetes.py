"""The manifests against the schemas of Kubernetes and KEDA, and what they promise."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject

from launcher.repository.contract import CHECKOUT

KUBERNETES = CHECKOUT / "docker" / "kubernetes"
BASE = KUBERNETES / "base"
OVERLAYS = ("cpu", "gpu")
VERSION = "1.34"
SELF = {"app.kubernetes.io/name": "tribunal"}

Document = dict[str, Any]


def documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def rendered(overlay: str) -> dict[str, Document]:
    """What `kustomize build` makes of the overlay, by kind and name."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl is installed: the overlays cannot be rendered")
    output = subprocess.run(
        [*command, KUBERNETES / overlay], capture_output=True, text=True, check=True
    ).stdout
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents(output)}


def validate(document: Document) -> None:
    """Raise where the document has a field or value that its schema has not."""
    if document["kind"] == "ScaledObject":
        # The model, made from KEDA's own schema, drops what it does not know.
        known = ScaledObject.model_validate(document)
        assert known.model_dump(by_alias=True, exclude_unset=True, mode="json") == document
    else:
        kubernetes_validate.validate(document, VERSION, strict=True)


BASE_FILES = sorted(path for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("file", BASE_FILES, ids=lambda path: path.name)
def test_the_base_follows_the_schemas(file: Path) -> None:
    for document in documents(file.read_text("utf-8")):
        validate(document)
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
    assert file.name in kustomization["resources"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlays_follow_the_schemas(overlay: str) -> None:
    made = rendered(overlay)
    assert len(made) == 8
    for document in made.values():
        validate(document)


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("deployment.yaml", ("spec", "template", "spec", "containers", 0, "readinesProbe"), {}),
        ("deployment.yaml", ("spec", "strategy", "rollingUpdate", "maxSurge"), [1]),
        ("network_policy.yaml", ("spec", "policyTypes"), "Ingress"),
        ("autoscaling.yaml", ("spec", "minReplicas"), 2),
        ("autoscaling.yaml", ("spec", "triggers", 0, "metricTyp"), "Value"),
        ("autoscaling.yaml", ("spec", "minReplicaCount"), "two"),
    ],
)
def test_the_validators_find_one_wrong_field(file: str, path: tuple[str | int, ...], value: object) -> None:
    document = documents((BASE / file).read_text("utf-8"))[0]
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises((kubernetes_validate.ValidationError, ValueError, AssertionError)):
        validate(document)


@pytest.fixture(params=OVERLAYS)
def made(request: pytest.FixtureRequest) -> dict[str, Document]:
    return rendered(request.param)


def container(made: dict[str, Document]) -> Document:
    (only,) = made["Deployment/tribunal"]["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_the_pod_may_do_nothing_that_it_need_not(made: dict[str, Document]) -> None:
    pod = made["Deployment/tribunal"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(made)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container(made)["volumeMounts"] if not mount.get("readOnly")} == {
        "/var/lib/tribunal",
        "/tmp",  # noqa: S108
        "/dev/shm",  # noqa: S108
    }
    assert {"cpu", "memory"} <= set(container(made)["resources"]["requests"])
    assert "memory" in container(made)["resources"]["limits"]


def test_only_the_startup_probe_waits_for_models(made: dict[str, Document]) -> None:
    probes = {name: container(made)[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    patience_s = {name: probe["periodSeconds"] * probe["failureThreshold"] for name, probe in probes.items()}
    assert patience_s["startup"] >= 120
    assert patience_s["readiness"] <= 15
    assert probes["readiness"]["httpGet"]["path"] == "/v2/health/ready"
    assert probes["liveness"]["httpGet"]["path"] == "/v2/health/live"


def test_a_rollout_needs_no_spare_gpu() -> None:
    strategy = rendered("gpu")["Deployment/tribunal"]["spec"]["strategy"]["rollingUpdate"]
    assert (strategy["maxSurge"], strategy["maxUnavailable"]) == (0, 1)


def test_everything_selects_the_pods(made: dict[str, Document]) -> None:
    labels = made["Deployment/tribunal"]["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= SELF.items()
    assert made["Deployment/tribunal"]["spec"]["selector"] == {"matchLabels": SELF}
    for service in ("Service/tribunal", "Service/tribunal-pods"):
        assert made[service]["spec"]["selector"] == SELF
        ports = {port["name"] for port in container(made)["ports"]}
        assert {port["targetPort"] for port in made[service]["spec"]["ports"]} <= ports - {"metrics"}
    assert made["Service/tribunal-pods"]["spec"]["clusterIP"] == "None"
    assert made["PodDisruptionBudget/tribunal"]["spec"]["selector"] == {"matchLabels": SELF}


def test_the_network_policy_opens_the_metrics_to_prometheus_alone(made: dict[str, Document]) -> None:
    policy = made["NetworkPolicy/tribunal"]["spec"]
    assert policy["podSelector"] == {"matchLabels": SELF}
    assert policy["egress"] == []
    callers, prometheus = policy["ingress"]
    assert {port["port"] for port in callers["ports"]} == {"http", "grpc"}
    assert callers["from"] == [{"podSelector": {"matchLabels": {"tribunal-caller": "true"}}}]
    assert {port["port"] for port in prometheus["ports"]} == {"metrics"}


def test_replicas_follow_the_worst_model_and_the_value_itself(made: dict[str, Document]) -> None:
    waiting, judging = made["ScaledObject/tribunal"]["spec"]["triggers"]
    assert waiting["metricType"] == judging["metricType"] == "Value"
    assert waiting["metadata"]["query"].startswith("max(sum by (model)")
    assert "tribunal_judge_duration_seconds" in judging["metadata"]["query"]
    assert made["ScaledObject/tribunal"]["spec"]["scaleTargetRef"]["name"] == "tribunal"
