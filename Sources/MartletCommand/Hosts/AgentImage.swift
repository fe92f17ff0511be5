import Martlet

/// What is sent to other machines: the small `martlet-agent` beside this program, unless something else is named.
struct AgentImage: Sendable {
    var path: String
    /// Why it is this one.
    var origin: String
    private var isOwnExecutable = false

    var images: ImageSet { isOwnExecutable ? .ownExecutable : .executables([path]) }

    /// - Parameter given: what `--agent` says.
    /// - Throws: ``CommandFailure`` if what is named is not there.
    static func find(_ given: String?) throws(CommandFailure) -> AgentImage {
        if let given {
            return try named(given, "as --agent says")
        }
        if let given = SystemCalls.variable("MARTLET_AGENT_IMAGE") {
            return try named(given, "as MARTLET_AGENT_IMAGE says")
        }
        let own = SystemCalls.ownExecutable ?? "/proc/self/exe"
        let directory = own.lastIndex(of: "/").map { own[..<$0] } ?? ""
        let beside = "\(directory)/martlet-agent"
        if SystemCalls.isExecutableFile(beside) { return AgentImage(path: beside, origin: "beside this program") }
        return AgentImage(
            path: own, origin: "this program itself, as no martlet-agent is beside it", isOwnExecutable: true)
    }

    private static func named(_ path: String, _ origin: String) throws(CommandFailure) -> AgentImage {
        guard SystemCalls.isExecutableFile(path) else {
            throw CommandFailure("\(path) is not an executable file: it should be the agent, \(origin)")
        }
        return AgentImage(path: SystemCalls.absolute(path), origin: origin)
    }
}
