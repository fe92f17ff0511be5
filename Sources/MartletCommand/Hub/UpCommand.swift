import ArgumentParser
import Martlet
import MartletFleet

/// `martlet up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Keep connections open in the background, so that commands answer in milliseconds.",
        discussion: """
            Starts a hub, unless there is one, and has it connect the hosts that are named. From then on this user's run, exec, \
            put, get, sync, shell, forward, with, ping and facts go through it; a host that it does not have it connects, and \
            keeps. What a command has running on a host ends with the command all the same. 'martlet tree' shows what the hub \
            has, 'martlet down' ends it, and so does time without work.

            The hub answers no questions: hosts that want a password are connected anew by each command, as ever. Its ssh has \
            the environment of this command, SSH_AUTH_SOCK for one. MARTLET_HUB=off turns it off, MARTLET_HUB=DIR puts its \
            socket there.

            Exit status: 0; 3 if a host was not reached.
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
        let (hosts, command) = (Host.list(try HostOptions.names(hosts)), self)
        try await Session.run(colour: wayOptions.color) { try await command.run(hosts, $0) }
    }

    private func run(_ hosts: [Host], _ session: Session) async throws -> Int32 {
        let way = try wayOptions.wayIn()
        let targets = try hosts.map { host in
            guard let target = HubTarget(way, host.name) else {
                throw CommandFailure(
                    "the hub cannot connect \(host.label): it answers no questions, and relative paths mean nothing to it"
                )
            }
            return target
        }
        return try await withMartlet { controller in
            let places = try HubFinder.wanted()
            var hub = try await controller.connectHub(places)
            if hub == nil {
                try HubLaunch.start(idle: idle, agent: wayOptions.agent)
                hub = try await controller.connectHub(places)
                session.output.say("the hub is up; it ends after \(Format.duration(.seconds(idle))) without work")
            } else {
                session.output.say("the hub is up already")
            }
            guard let hub else { throw CommandFailure("the hub has ended as soon as it was there") }
            return await session.connect(Array(zip(hosts, targets)), hub)
        }
    }
}

extension Session {
    fileprivate func connect(_ hosts: [(Host, HubTarget)], _ hub: Context) async -> Int32 {
        let width = hosts.map(\.0.label.count).max() ?? 0
        return await withTaskGroup(of: Bool.self) { group in
            for (host, target) in hosts {
                group.addTask {
                    let name = output.style.host(host.label.padded(to: width), named: host.name.text)
                    do {
                        let opened = try await hub.call(HubOpen(target: target))
                        let what =
                            opened.wasThere ? "is there" : "connected in \(Format.duration(opened.timings.total))"
                        output.say("\(name)  \(what)")
                        return true
                    } catch {
                        let text = HarmlessText.of("\(error)", keepsLines: true)
                        output.say("\(name)  \(output.errorStyle.bad("error:")) \(text)", to: .error)
                        return false
                    }
                }
            }
            group.addTask {
                await interruption.wait()
                return true
            }
            var (left, allThere) = (hosts.count, true)
            while left > 0, let isThere = await group.next() {
                if interruption.cause != nil { break }
                left -= 1
                allThere = allThere && isThere
            }
            group.cancelAll()
            return allThere ? ExitStatus.success : ExitStatus.unreachable
        }
    }
}

/// `martlet down`.
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "End the hub and everything that it keeps: see 'martlet up'.")

    func run() async throws {
        try await Session.run(colour: .auto) { session in
            try await withMartlet { controller in
                guard let hub = try await controller.connectHub(try HubFinder.wanted()) else {
                    session.output.say("there is no hub")
                    return ExitStatus.success
                }
                let status = try await hub.call(HubStatusTask())
                let count = try await hub.call(HubEnd())
                await hub.close(within: .seconds(1))
                // Until its process is gone, nothing is.
                let deadline = ContinuousClock.now + .seconds(15)
                while SystemCalls.exists("/proc/\(status.processID)"), ContinuousClock.now < deadline {
                    await Pause.wait(.milliseconds(10))
                    try Task.checkCancellation()
                }
                guard !SystemCalls.exists("/proc/\(status.processID)") else {
                    throw CommandFailure("the hub, process \(status.processID), does not end")
                }
                session.output.say("the hub has ended, and with it \(Format.count(count, "context"))")
                return ExitStatus.success
            }
        }
    }
}
