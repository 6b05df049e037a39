import tensorflow as tf

from deeq_bert.bert.event_files import EventWriter


def test_events_are_scalars_that_tensorboard_shows(tmp_path):
    EventWriter(str(tmp_path)).write(7, {"loss": 1.5})

    (path,) = tmp_path.glob("events.out.tfevents.*")
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    (value,) = [value for event in events for value in event.summary.value]
    assert (events[-1].step, value.tag, tf.make_ndarray(value.tensor)) == (7, "loss", 1.5)
    assert value.metadata.plugin_data.plugin_name == "scalars"
