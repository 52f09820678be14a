#!/usr/bin/python3
"""An RTSP camera for tests: GStreamer's server shows a clip over and over.

Prints one line `rtsp://127.0.0.1:<port>/camera` when it listens, and ends when its standard input closes.
Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and gstreamer1.0-plugins-bad.
"""
import argparse
import sys
import threading

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
except (ImportError, ValueError) as error:
    sys.exit(f"{error}: install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad")


# The pipeline's time at which the clip begins. With B-frames decoding begins before showing; and as this is no full
# second, sound that is put a whole number of packets or seconds away from its picture is noticed.
BEGINS = 1_300_000_000


def access_units(path):
    """All access units of an MP4 file as (bytes, pts, dts, key), and the clip's length in nanoseconds."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! qtdemux ! h264parse config-interval=0 "
        "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    )
    pipeline.get_by_name("file").set_property("location", path)
    sink = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    units = []
    while (sample := sink.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        units.append((data, buffer.pts, buffer.dts, buffer.duration, key))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        sys.exit(f"{path} has no H.264 track")
    first = min(unit[1] for unit in units)
    length = max(unit[1] + unit[3] for unit in units) - first
    return [(data, pts - first, dts - first, length_, key) for data, pts, dts, length_, key in units], length


class Camera(GstRtspServer.RTSPMediaFactory):
    """Feeds the access units to each client's own pipeline, with times that go on over the clip's end."""

    def __init__(self, path, rounds, audio, sets):
        super().__init__()
        self.units, self.length = access_units(path)
        self.rounds = rounds
        launch = (
            "appsrc name=video format=time is-live=false block=false max-bytes=2000000 "
            "caps=video/x-h264,stream-format=byte-stream,alignment=au "
            f"! h264parse config-interval={sets} ! rtph264pay name=pay0 pt=96 aggregate-mode=zero-latency"
        )
        if audio == "opus":
            # One tick at each full second of the pipeline's time. A live source beside a clip that is none would make
            # the server refuse PLAY.
            launch += " audiotestsrc wave=ticks volume=0.9 ! opusenc ! rtpopuspay name=pay1 pt=97"
        elif audio == "pcmu":
            launch += " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0"
        self.set_launch(f"( {launch} )")

    def do_configure(self, media):
        source = media.get_element().get_by_name_recurse_up("video")
        state = {"next": 0}

        def need_data(element, _length):
            round_, index = divmod(state["next"], len(self.units))
            if self.rounds and round_ >= self.rounds:
                element.emit("end-of-stream")
                return
            data, pts, dts, duration, key = self.units[index]
            buffer = Gst.Buffer.new_wrapped(data)
            shift = round_ * self.length + BEGINS
            buffer.pts, buffer.dts, buffer.duration = pts + shift, dts + shift, duration
            if not key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            state["next"] += 1
            element.emit("push-buffer", buffer)

        source.connect("need-data", need_data)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("clip")
    arguments.add_argument("--port", default="0")
    arguments.add_argument("--rounds", type=int, default=0, help="how often the clip is shown; 0: for ever")
    arguments.add_argument("--sets-in-stream", action="store_true", help="parameter sets before key frames, not in the SDP alone")
    arguments.add_argument("--user")
    arguments.add_argument("--password")
    arguments.add_argument("--audio", choices=["opus", "pcmu"])
    options = arguments.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = Camera(options.clip, options.rounds, options.audio, -1 if options.sets_in_stream else 0)
    if options.user:
        authority = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        authority.add_digest(options.user, options.password, token)
        authority.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        server.set_auth(authority)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/camera", factory)
    loop = GLib.MainLoop()
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {options.port}")
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera", flush=True)

    def until_closed():
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=until_closed, daemon=True).start()
    loop.run()


main()
