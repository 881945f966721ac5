"""Settings of `make demo`: one page, for this machine only, whose kernels end with it."""

import gc

c = get_config()  # noqa: F821  # Voila's own

c.Voila.ip = "127.0.0.1"
# Else a page of another name that leads here could read the demo.
c.Voila.tornado_settings = {"allow_remote_access": False}
c.VoilaConfiguration.template = "offline"  # fetches nothing from other servers
c.VoilaConfiguration.strip_sources = True


def before_page(request, **unused):
    """Set the cookie without which a page's request to end its kernel is refused."""
    request.xsrf_token  # noqa: B018  # sets it
    gc.collect()  # each page leaves some 5 MB in cycles


c.VoilaConfiguration.prelaunch_hook = before_page
# For pages that could not say good-bye. A page that loads slowly must still find its kernel.
c.MappingKernelManager.cull_idle_timeout = 120  # seconds
c.MappingKernelManager.cull_interval = 5
