"""Workloads as a user would write them."""


def pod_spec(image, name="app", policy="Always", **more):
    return {"containers": [{"name": name, "image": image, "imagePullPolicy": policy}],
            "terminationGracePeriodSeconds": 0} | more


def template(spec, annotations=None):
    metadata = {"labels": {"app": "web"}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}


def _workload(api_version, kind, name, ns, spec, annotations):
    return {"apiVersion": api_version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": ns, "annotations": annotations or {}}}


SELECTOR = {"matchLabels": {"app": "web"}}


def deployment(name, ns, spec, annotations=None, replicas=1, template_annotations=None):
    return _workload("apps/v1", "Deployment", name, ns,
                     {"replicas": replicas, "selector": SELECTOR, "template": template(spec, template_annotations)},
                     annotations)


def statefulset(name, ns, spec, annotations=None):
    return _workload("apps/v1", "StatefulSet", name, ns,
                     {"replicas": 1, "serviceName": "web", "selector": SELECTOR, "template": template(spec)}, annotations)


def daemonset(name, ns, spec, annotations=None):
    return _workload("apps/v1", "DaemonSet", name, ns, {"selector": SELECTOR, "template": template(spec)}, annotations)


def replicaset(name, ns, spec, annotations=None):
    return _workload("apps/v1", "ReplicaSet", name, ns,
                     {"replicas": 1, "selector": SELECTOR, "template": template(spec)}, annotations)


def replication_controller(name, ns, spec, annotations=None):
    return _workload("v1", "ReplicationController", name, ns,
                     {"replicas": 1, "selector": {"app": "web"}, "template": template(spec)}, annotations)


def job(name, ns, spec, annotations=None):
    return _workload("batch/v1", "Job", name, ns, {"template": template(spec | {"restartPolicy": "Never"})}, annotations)


def cronjob(name, ns, spec, annotations=None):
    return _workload("batch/v1", "CronJob", name, ns,
                     {"schedule": "0 0 1 1 *",
                      "jobTemplate": {"spec": {"template": template(spec | {"restartPolicy": "Never"})}}}, annotations)


def pod(name, ns, spec, annotations=None):
    return _workload("v1", "Pod", name, ns, spec, annotations)


BUILDERS = {
    "deployment": deployment,
    "statefulset": statefulset,
    "daemonset": daemonset,
    "replicaset": replicaset,
    "replicationcontroller": replication_controller,
    "job": job,
    "cronjob": cronjob,
    "pod": pod,
}
