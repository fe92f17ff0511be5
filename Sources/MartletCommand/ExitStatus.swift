/// With what `martlet` exits. Wrong usage is 64 (`EX_USAGE`), which ArgumentParser sees to.
enum ExitStatus {
    static let success: Int32 = 0
    /// A command failed, or was not started.
    static let failed: Int32 = 1
    /// A host was not reached, or was lost.
    static let unreachable: Int32 = 3
    /// It was stopped: hosts were skipped, as too much had failed, or a check behind a batch has failed.
    static let stopped: Int32 = 4
    static let usage: Int32 = 64
    /// There is no shell to have a status, as ssh has it.
    static let noShell: Int32 = 255
    /// What a shell makes of SIGPIPE.
    static let outputClosed: Int32 = 141
}
