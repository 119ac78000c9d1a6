// Users of the SDK import this.
