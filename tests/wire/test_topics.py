"""Topics: a subscription by prefix never takes what is another cluster's or role's."""

from hypothesis import given
from hypothesis import strategies as st

from lbwire.topics import BEACON, CLUSTER, NAME, ROLE_AUDIENCES, cluster_topics, host_audience, role_audience, topic

NAMES = st.from_regex(rf"\A{NAME}\Z")
AUDIENCES = st.sampled_from([CLUSTER, *sorted(ROLE_AUDIENCES)]) | NAMES.map(host_audience)


@given(NAMES, AUDIENCES, NAMES, AUDIENCES)
def test_no_topic_is_the_beginning_of_another(cluster: str, audience: str, other: str, another: str) -> None:
    """ZeroMQ matches by prefix: "web" must not take what is for "web2"."""
    if (cluster, audience) != (other, another):
        assert not topic(other, another).startswith(topic(cluster, audience))


@given(NAMES, AUDIENCES)
def test_the_beacon_has_a_topic_of_its_own(cluster: str, audience: str) -> None:
    """No cluster's name makes a topic that a subscriber to beacons takes, nor the other way round."""
    assert not topic(cluster, audience).startswith(BEACON)
    assert not BEACON.startswith(topic(cluster, audience))


@given(NAMES)
def test_a_host_subscribes_to_its_cluster_and_to_the_roles_that_it_has(cluster: str) -> None:
    """What is for another role may hold secrets, and would be refused by the inbox."""
    assert cluster_topics(cluster, ["role:director"]) == {
        topic(cluster, CLUSTER),
        topic(cluster, role_audience("director")),
    }
