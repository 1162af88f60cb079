"""Home, and the server: `streamlit run` imports this file once for `app`, and runs it as a page to show Home."""

import streamlit as st

if __name__ == "__main__":
    from recformer.ui.home import page

    page.show()
else:  # the pages are not imported here: what they keep in memory needs the server that this begins
    from recformer.ui import server, server_start

    app = st.App(__file__, middleware=server.MIDDLEWARE, lifespan=server_start.opened)
