import ArgumentParser
import Martlet
import MartletFleet

/// `martlet up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Keep connections open in the background, so that commands answer in milliseconds.",
        discussion: """
            Starts a hub, unless there is one, and has it connect the hosts that are named, or their gateways. From then on \
            this user's run, exec, put, get, sync, shell, forward, with, ping and facts go through it; a host that it does not \
            have it connects, and keeps. What a command has running on a host ends with the command all the same. A put or sync to several hosts behind \
            one way goes by itself, over that way once. 'martlet tree' shows what the hub has, 'martlet down' ends it, and so \
            does time without work.

            The hub answers no questions: hosts that want a password are connected anew by each command, as ever. Its ssh has \
            the environment of this command, SSH_AUTH_SOCK for one. MARTLET_HUB=off turns it off, MARTLET_HUB=DIR puts its \
            socket there.

            Exit status: 0; 1 if a hub cannot be started, or does not answer; 3 if a host was not reached; 64 for wrong usage; \
            130 after Ctrl-C (128 + the signal).
            """
    )

    @Option(
        name: [.customShort("H"), .customLong("hosts")],
        help: ArgumentHelp("Hosts to connect, as those of 'run'. May be repeated.", valueName: "hosts"))
    var hosts: [String] = []

    @Option(help: ArgumentHelp("End after so many seconds without work.", valueName: "seconds"))
    var idle: Double = 1800

    @OptionGroup var wayOptions: WayInOptions

    func validate() throws {
        _ = try OptionValue.duration(idle, "--idle")
    }

    func run() async throws {
        let (hosts, command) = (try HostOptions.names(hosts), self)
        try await Session.run(colour: wayOptions.color) { try await command.run(hosts, $0) }
    }

    private func run(_ hosts: [HostName], _ session: Session) async throws -> Int32 {
        let targets = try targets(hosts)
        defer { session.output.tell(session.interruption.cause) }
        return try await withMartlet { controller in
            try await session.interruption.cancelling {
                let hub = try await hub(controller, session.output)
                return await session.connect(targets, hub)
            }
        }
    }

    /// - Returns: no target for a host that needs no hub, if that is not so for all of them.
    private func targets(_ names: [HostName]) throws -> [(Host, HubTarget?)] {
        let kept = try wayOptions.wayIn().entrances(to: names)
        let hosts = Host.list(kept.map(\.0))
        let targets = try zip(hosts, kept).map { host, kept -> (Host, HubTarget?) in
            do throws(HubRefusal) { return (host, try HubTarget(kept.1, host.name)) } catch {
                if error == .staysOnMachine, hosts.count > 1 { return (host, nil) }
                throw CommandFailure("the hub cannot connect \(host.label): \(error)")
            }
        }
        guard hosts.isEmpty || targets.contains(where: { $0.1 != nil }) else {
            throw CommandFailure("all of these hosts are this machine, which needs no hub")
        }
        return targets
    }

    /// The hub that is there, or else a new one.
    private func hub(_ controller: Controller, _ output: Output) async throws -> Context {
        let places = try HubFinder.wanted()
        if let hub = try await controller.connectHub(places) {
            output.say("the hub is up already")
            return hub
        }
        _ = try AgentImage.find(wayOptions.agent)
        try HubLaunch.start(idle: idle, agent: wayOptions.agent)
        guard let hub = try await controller.connectHub(places) else {
            throw CommandFailure("the hub has ended as soon as it was there", exitStatus: ExitStatus.failed)
        }
        output.say("the hub is up; it ends after \(Format.duration(.seconds(idle))) without work")
        return hub
    }
}

extension Session {
    fileprivate func connect(_ hosts: [(Host, HubTarget?)], _ hub: Context) async -> Int32 {
        let width = hosts.map(\.0.label.count).max() ?? 0
        return await withTaskGroup(of: Bool.self) { group in
            for (host, target) in hosts {
                let name = output.style.host(host.label.padded(to: width), named: host.name.text)
                group.addTask { await connect(name, target, hub) }
            }
            return await group.reduce(true) { $0 && $1 } ? ExitStatus.success : ExitStatus.unreachable
        }
    }

    private func connect(_ name: String, _ target: HubTarget?, _ hub: Context) async -> Bool {
        guard let target else {
            output.say("\(name)  is this machine, which needs no hub")
            return true
        }
        do {
            let opened = try await hub.call(HubOpen(target: target))
            let what = opened.wasThere ? "is there" : "connected in \(Format.duration(opened.timings.total))"
            output.say("\(name)  \(what)")
            return true
        } catch {
            // Of an interruption is told once.
            if interruption.cause != nil { return false }
            let text = HarmlessText.of("\(error)", keepsLines: true)
            output.say("\(name)  \(output.errorStyle.bad("error:")) \(text)", to: .error)
            return false
        }
    }
}
