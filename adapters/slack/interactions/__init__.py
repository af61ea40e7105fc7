"""What people press, choose and command: parsed, and answered to them alone where that is due."""
