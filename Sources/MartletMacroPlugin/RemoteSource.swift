/// What `@Remote` makes of a function, as source.
struct RemoteSource {
    private let function: RemoteFunction

    init(_ function: RemoteFunction) { self.function = function }

    private var parameters: [RemoteFunction.Parameter] { function.parameters }
    private var attributes: String { function.availability.map { "\($0)\n" }.joined() }
    private var result: String { function.output.map { " -> \($0)" } ?? "" }

    /// The task: the arguments by number, as their names could hide the function's.
    var task: String {
        var lines = [
            "/// Calls `\(function.plainName)` in the context that it is sent to.",
            "\(attributes)\(function.access)struct \(function.taskName): Martlet.RemoteTask {",
        ]
        lines += parameters.indices.map { "    var _\($0): \(parameters[$0].type)" }
        let initializer = parameters.map(\.declaration).joined(separator: ", ")
        lines.append("    \(function.memberAccess)init(\(initializer)) {")
        lines += parameters.indices.map { "        self._\($0) = \(parameters[$0].name)" }
        lines.append("    }")
        lines.append(
            "    \(function.memberAccess)func run(in _context: Martlet.RemoteContext) async\(function.effects)\(result) {"
        )
        lines.append("        \(call)")
        lines += ["    }", "}"]
        return lines.joined(separator: "\n")
    }

    private var call: String {
        var arguments = parameters.indices.map { parameters[$0].argument("_\($0)") }
        if let label = function.contextLabel {
            arguments.insert(label == "_" ? "_context" : "\(label): _context", at: 0)
        }
        let words = (function.isTried ? "try " : "") + (function.isAwaited ? "await " : "")
        return "\(words)\(function.calledName)(\(arguments.joined(separator: ", ")))"
    }

    var contextOverload: String {
        overload(
            on: "Martlet.Context", called: "context", limit: "deadline", output: result,
            attributes: function.isDiscardable ? "@discardableResult\n" : "",
            documentation: ["/// Runs in `context`: a copy of this program there calls it."])
    }

    var groupOverload: String {
        overload(
            on: "MartletFleet.Group", called: "group", limit: "timeout",
            output: " -> MartletFleet.GroupResults<\(function.output ?? "Void")>",
            attributes: "", documentation: ["/// Runs in every member of `group`, and gives what came of each."])
    }

    private func overload(
        on type: String, called word: String, limit: String, output: String, attributes: String, documentation: [String]
    ) -> String {
        let place = function.free(word)
        let deadline = function.free("deadline")
        // Who has a parameter of that label keeps it.
        let hasDeadline = !parameters.contains { $0.label == "deadline" }
        var list = ["on \(place): \(type)"] + parameters.map(\.declaration)
        if hasDeadline {
            list.append(
                deadline == "deadline"
                    ? "deadline: Swift.Duration? = nil" : "deadline \(deadline): Swift.Duration? = nil")
        }
        let arguments = parameters.map { $0.argument($0.name) }.joined(separator: ", ")
        let passed = hasDeadline ? ", \(limit): \(deadline)" : ""
        let words = function.documentation.isEmpty ? documentation : function.documentation + ["///"] + documentation
        return """
            \(words.joined(separator: "\n"))
            \(self.attributes)\(attributes)\(function.access)nonisolated(nonsending) \(function.isClassMember ? "static " : "")func \(function.name)(\(list.joined(separator: ", "))) async throws\(output) {
                try await \(place).call(\(function.taskName)(\(arguments))\(passed))
            }
            """
    }
}
