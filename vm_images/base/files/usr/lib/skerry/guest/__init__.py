"""The parts of the guest agent."""
