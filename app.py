"""Home, and the server: `streamlit run` imports this file once for `app`, and runs it as a page to show Home."""

import streamlit as st

if __name__ == "__main__":
    from recformer.ui import home

    home.show()
else:  # the pages are not imported here: what they keep in memory needs the server that this begins
    from recformer.ui import server

    app = st.App(__file__, middleware=server.MIDDLEWARE, lifespan=server.opened)
