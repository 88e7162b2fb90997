"""The HTTP room: resources, events and the agent page. White: nothing here can name a digit."""
