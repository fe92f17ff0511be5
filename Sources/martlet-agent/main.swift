import Martlet

// Run by hand it has nothing to do: `martlet` sends it to other machines, where it is taken over before it gets here.
print("martlet-agent is what the martlet command runs on other machines. There is nothing to do for it here.")
