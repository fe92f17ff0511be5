/// Where a far machine may keep the image that is sent to it.
public enum ImagePolicy: String, Sendable, Hashable, CaseIterable {
    /// Keep the image in the user's private cache (`${XDG_CACHE_HOME:-$HOME/.cache}/martlet`), so that the next connect
    /// sends nothing. Where the cache cannot be used, the image goes to any place that can run it and is not kept.
    case disk

    /// Only RAM: a RAM file system or an anonymous memory file, and no name is left once the agent runs. A machine that
    /// offers neither refuses the connect.
    case memory

    /// Any place that can run it, a directory on disk included, but nothing is left once the agent runs.
    case nothing

    /// The labels of the places that are tried, in order. They are words without blanks or characters that any shell's
    /// `echo` treats specially, because they come back in reports.
    var places: [String] {
        switch self {
        case .disk: ["cache"] + Self.nothing.places
        case .memory: ["/dev/shm", "XDG_RUNTIME_DIR", "/run", "/tmp", "TMPDIR"]
        case .nothing: ["/dev/shm", "XDG_RUNTIME_DIR", "/run", "/tmp", "TMPDIR", "/var/tmp", "HOME", "PWD"]
        }
    }
}
