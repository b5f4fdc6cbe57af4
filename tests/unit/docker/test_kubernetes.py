"""The manifests: validity by the schemas of Kubernetes and KEDA, and their settings."""

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
GATEWAY = {"app.kubernetes.io/name": "tribunal-gateway"}
# Deployments, with the labels of their pods.
PODS = {"Deployment/tribunal": SELF, "Deployment/tribunal-gateway": GATEWAY}

Document = dict[str, Any]


def documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def rendered(overlay: str) -> dict[str, Document]:
    """The output of `kustomize build` for the overlay, by kind and name."""
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
    """Raise if the document has a field or value that its schema does not allow."""
    if document["kind"] == "ScaledObject":
        # The model, generated from KEDA's schema, drops unknown fields.
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
    assert len(made) == 13
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
        ("gateway_autoscaling.yaml", ("spec", "metrics", 0, "resource", "target", "utilization"), 70),
        ("gateway_network_policy.yaml", ("spec", "egress", 0, "ports", 0, "protocol"), ["TCP"]),
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


def container(made: dict[str, Document], deployment: str = "Deployment/tribunal") -> Document:
    (only,) = made[deployment]["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize(
    ("deployment", "written"),
    [
        ("Deployment/tribunal", {"/var/lib/tribunal", "/tmp", "/dev/shm"}),  # noqa: S108
        ("Deployment/tribunal-gateway", set()),
    ],
)
def test_the_pods_may_do_nothing_that_they_need_not(
    made: dict[str, Document], deployment: str, written: set[str]
) -> None:
    pod = made[deployment]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    only = container(made, deployment)
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = only["volumeMounts"]
    assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} == written
    assert {"cpu", "memory"} <= set(only["resources"]["requests"])
    assert "memory" in only["resources"]["limits"]


def test_only_the_startup_probe_waits_for_models(made: dict[str, Document]) -> None:
    probes = {name: container(made)[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    patience_s = {name: probe["periodSeconds"] * probe["failureThreshold"] for name, probe in probes.items()}
    assert patience_s["startup"] >= 120
    assert probes["startup"]["httpGet"]["path"] == "/v2/models/moderation/ready"
    assert patience_s["readiness"] <= 15
    assert probes["readiness"]["httpGet"]["path"] == "/v2/health/ready"
    assert probes["liveness"]["httpGet"]["path"] == "/v2/health/live"


def test_a_rollout_needs_no_spare_gpu() -> None:
    strategy = rendered("gpu")["Deployment/tribunal"]["spec"]["strategy"]["rollingUpdate"]
    assert (strategy["maxSurge"], strategy["maxUnavailable"]) == (0, 1)


def test_a_server_that_loads_restarts_no_gateway(made: dict[str, Document]) -> None:
    probes = container(made, "Deployment/tribunal-gateway")
    assert probes["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    for name in ("startupProbe", "livenessProbe"):
        assert probes[name]["httpGet"]["path"] == "/v2/health/live"


def test_everything_selects_its_pods(made: dict[str, Document]) -> None:
    for deployment, labels in PODS.items():
        assert made[deployment]["spec"]["template"]["metadata"]["labels"].items() >= labels.items()
        assert made[deployment]["spec"]["selector"] == {"matchLabels": labels}
        (spread,) = made[deployment]["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"] == {"matchLabels": labels}
        name = deployment.partition("/")[2]
        assert made[f"PodDisruptionBudget/{name}"]["spec"]["selector"] == {"matchLabels": labels}
        assert made[f"NetworkPolicy/{name}"]["spec"]["podSelector"] == {"matchLabels": labels}
    for service, deployment in (("tribunal-pods", "tribunal"), ("tribunal-gateway", "tribunal-gateway")):
        spec = made[f"Service/{service}"]["spec"]
        assert spec["selector"] == PODS[f"Deployment/{deployment}"]
        ports = {port["name"] for port in container(made, f"Deployment/{deployment}")["ports"]}
        assert {port["targetPort"] for port in spec["ports"]} <= ports - {"metrics"}


def test_gateways_ask_the_pods_of_the_server(made: dict[str, Document]) -> None:
    (url,) = container(made, "Deployment/tribunal-gateway")["env"]
    service = made["Service/tribunal-pods"]
    (port,) = service["spec"]["ports"]
    assert url == {"name": "TRIBUNAL_URL", "value": f"{service['metadata']['name']}:{port['port']}"}
    # Otherwise each gateway would use only the pod that it reached first.
    assert service["spec"]["clusterIP"] == "None"


def test_only_gateways_and_prometheus_reach_the_servers(made: dict[str, Document]) -> None:
    policy = made["NetworkPolicy/tribunal"]["spec"]
    assert policy["egress"] == []
    gateways, prometheus = policy["ingress"]
    assert gateways["from"] == [{"podSelector": {"matchLabels": GATEWAY}}]
    assert {port["port"] for port in gateways["ports"]} == {"grpc"}
    assert [set(peer) for peer in prometheus["from"]] == [{"namespaceSelector"}]
    assert {port["port"] for port in prometheus["ports"]} == {"metrics"}


def test_labelled_callers_reach_the_gateways_and_gateways_the_servers(made: dict[str, Document]) -> None:
    policy = made["NetworkPolicy/tribunal-gateway"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    callers, prometheus = policy["ingress"]
    assert callers["from"] == [{"podSelector": {"matchLabels": {"tribunal-caller": "true"}}}]
    assert {port["port"] for port in callers["ports"]} == {"http", "grpc"}
    assert {port["port"] for port in prometheus["ports"]} == {"metrics"}
    servers, names = policy["egress"]
    assert servers["to"] == [{"podSelector": {"matchLabels": SELF}}]
    assert {port["port"] for port in servers["ports"]} == {"grpc"}
    assert {port["port"] for port in names["ports"]} == {53}


def test_the_gateways_read_the_policies_that_come_along(made: dict[str, Document]) -> None:
    (name,) = [key.partition("/")[2] for key in made if key.startswith("ConfigMap/")]
    assert made[f"ConfigMap/{name}"]["data"] == {"policies.toml": (BASE / "policies.toml").read_text("utf-8")}
    volumes = made["Deployment/tribunal-gateway"]["spec"]["template"]["spec"]["volumes"]
    assert [volume["configMap"]["name"] for volume in volumes if "configMap" in volume] == [name]


def test_gateways_follow_the_processor(made: dict[str, Document]) -> None:
    scaler = made["HorizontalPodAutoscaler/tribunal-gateway"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "tribunal-gateway"
    assert scaler["minReplicas"] == 2
    (metric,) = scaler["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert "replicas" not in made["Deployment/tribunal-gateway"]["spec"]


def test_replicas_follow_the_worst_model_and_the_value_itself(made: dict[str, Document]) -> None:
    waiting, judging = made["ScaledObject/tribunal"]["spec"]["triggers"]
    assert waiting["metricType"] == judging["metricType"] == "Value"
    assert waiting["metadata"]["query"].startswith("max(sum by (model)")
    assert "tribunal_judge_duration_seconds" in judging["metadata"]["query"]
    assert made["ScaledObject/tribunal"]["spec"]["scaleTargetRef"]["name"] == "tribunal"
