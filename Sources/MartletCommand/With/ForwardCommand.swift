import ArgumentParser
import Martlet
import MartletFleet
import MartletShim
import Synchronization

/// `martlet forward`.
struct ForwardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Lead ports through a host, as ssh -L and -R do, until Ctrl-C.",
        usage: "martlet forward HOST [-L [BIND:]PORT:HOST:PORT]... [-R [BIND:]PORT:HOST:PORT]... [options]",
        discussion: """
            -L listens here, and connects from the host; -R listens on the host, and connects from here. Either side may be the \
            path of a Unix socket in place of a port: -L 8080:/run/app.sock. Port 0 takes one that is free, and is told. Without \
            BIND only the loopback is listened on; * is every address.

            What listens is printed, one a line, when all of it does. Exit status: 3 if the host was not reached, or it or what \
            listens there was lost; 1 if something cannot be listened on; 130 after Ctrl-C (128 + the signal).
            """
    )

    @OptionGroup var wayOptions: WayInOptions

    @Option(
        name: [.customShort("L"), .customLong("local")],
        help: ArgumentHelp("Listen here, connect from the host; may be repeated.", valueName: "[bind:]port:host:port"))
    var local: [String] = []

    @Option(
        name: [.customShort("R"), .customLong("remote")],
        help: ArgumentHelp(
            "Listen on the host, connect from here; may be repeated.", valueName: "[bind:]port:host:port"))
    var remote: [String] = []

    @Argument(help: "The host: [user@]name[:port] for ssh, or a spec; see 'martlet specs'.")
    var host: String

    func validate() throws {
        _ = try plan()
        _ = try HostOptions.name(host)
    }

    private func plan() throws -> [ForwardPlan] {
        guard !local.isEmpty || !remote.isEmpty else {
            throw ValidationError("name what to forward, as in -L 8080:localhost:80")
        }
        return try local.map { try ForwardPlan($0, isRemote: false) }
            + remote.map { try ForwardPlan($0, isRemote: true) }
    }

    func run() async throws {
        let (plan, wayIn, agent) = (try plan(), try wayOptions.wayIn(), wayOptions.agent)
        let name = try HostOptions.name(host)
        try await Session.run(colour: wayOptions.color) { session in
            var options = MartletOptions()
            options.images = try AgentImage.find(agent).images
            options.onOutput = session.contextOutput
            do {
                return try await withMartlet(options) { controller in
                    try await session.interruption.cancelling {
                        let context = try await wayIn.connectAlone(controller, session.output, to: name)
                        return try await Self.forward(plan, name.label, context, session)
                    }
                }
            } catch let error as MartletError {
                session.output.say("martlet: \(HarmlessText.of("\(error)", keepsLines: true))", to: .error)
                return error.code == .fileFailed || error.code == .refused ? ExitStatus.failed : ExitStatus.unreachable
            }
        }
    }

    private static func forward(
        _ plan: [ForwardPlan], _ host: String, _ context: Context, _ session: Session
    ) async throws -> Int32 {
        let onRefusal: @Sendable (Forwarding.Refusal) -> Void = { refusal in
            session.output.say("martlet: \(HarmlessText.of("\(refusal)"))", to: .error)
        }
        let lost = Mutex<MartletError?>(nil)
        let isLost = Gate()
        let onLost: @Sendable (MartletError) -> Void = { error in
            lost.withLock { $0 = $0 ?? error }
            isLost.open()
        }
        var open: [Forwarding] = []
        defer { for forwarding in open { forwarding.close() } }
        for item in plan {
            let forwarding =
                item.isRemote
                ? try await context.openRemoteForwarding(
                    item.place, to: item.target, onRefusal: onRefusal, onLost: onLost)
                : try context.openLocalForwarding(item.place, to: item.target, onRefusal: onRefusal)
            open.append(forwarding)
            let (here, there) = item.isRemote ? (host, "here") : ("here", host)
            session.output.say("\(forwarding.place) \(here) -> \(item.target) from \(there)", to: .output)
        }
        // Until it is interrupted, or the host, or what listens there, is lost.
        while true {
            do { _ = try await context.ping() } catch { throw lost.withLock { $0 } ?? error }
            await Pause.wait(.seconds(1), until: isLost)
            try Task.checkCancellation()
            if let error = lost.withLock({ $0 }) { throw error }
        }
    }
}

/// One word of -L or -R.
struct ForwardPlan: Sendable, Hashable {
    var place: ForwardPlace
    var target: ForwardPlace
    var isRemote: Bool

    /// `[bind:]port:host:port`, `port:path`, `path:host:port` or `path:path`, with `[…]` around addresses that have colons.
    ///
    /// - Throws: `ValidationError`.
    init(_ text: String, isRemote: Bool) throws {
        self.isRemote = isRemote
        let flag = isRemote ? "-R" : "-L"
        func wrong(_ why: String) -> ValidationError { ValidationError("\(flag) \(text): \(why)") }
        func port(_ word: String, zero: Bool) throws -> UInt16 {
            guard let number = UInt16(word), zero || number > 0 else { throw wrong("\"\(word)\" is no port") }
            return number
        }
        var words = try Self.words(text)
        guard let last = words.popLast() else { throw wrong("it wants [bind:]port:host:port") }
        if last.hasPrefix("/") {
            target = .socket(last)
        } else {
            guard let host = words.popLast() else { throw wrong("it wants [bind:]port:host:port") }
            target = .port(try port(last, zero: false), host: host.isEmpty ? nil : host)
        }
        switch words.count {
        case 1 where words[0].hasPrefix("/"): place = .socket(words[0])
        case 1: place = .port(try port(words[0], zero: true))
        case 2:
            // OpenSSH's empty bind address is every one.
            place = .port(try port(words[1], zero: true), host: words[0].isEmpty ? "*" : words[0])
        default: throw wrong("it wants [bind:]port:host:port")
        }
    }

    private static func words(_ text: String) throws -> [String] {
        var words: [String] = [""]
        var depth = false
        for character in text {
            switch character {
            case "[" where words[words.count - 1].isEmpty && !depth: depth = true
            case "]" where depth: depth = false
            case ":" where !depth: words.append("")
            default: words[words.count - 1].append(character)
            }
        }
        if depth { throw ValidationError("\(text): a bracket is not closed") }
        return words
    }
}
