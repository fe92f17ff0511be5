import Martlet

/// Shows the main job to somebody who has just arrived.
struct Demo: Sendable {
    let session: Session

    private var output: Output { session.output }

    private func heading(_ text: String) { output.say("\n" + output.style.heading(text)) }
    private func explain(_ text: String) { output.say("   " + output.style.faint(text)) }
    private func tell(_ text: String) { output.say("   " + text) }

    func run() async throws -> Int32 {
        var options = MartletOptions()
        // The tasks below have to be in what is sent: this program itself, not the small agent.
        options.images = .ownExecutable
        options.onOutput = session.contextOutput
        let status = try await withMartlet(options) { controller in
            let local = try await firstContext(controller)
            try await call(local)
            try await command(local)
            try await many(controller)
            return try await ssh(controller, local)
        }
        heading(
            status == 0 ? "That is all. It left nothing behind." : "The rest works; ssh did not, for the reason above.")
        explain("On a machine of yours that you reach by ssh:")
        tell("martlet run -H HOST,HOST -- uptime")
        tell("martlet doctor HOST")
        return status
    }

    // MARK: Local contexts

    private func firstContext(_ controller: Controller) async throws -> Context {
        heading("1. A context: a process that takes tasks, here on this machine")
        let context = try await controller.connect(.local)
        tell(
            "process \(context.facts.processID), started and ready in "
                + "\(good(Format.duration(context.timings.total))); a round trip takes "
                + good(Format.duration(try await roundTrip(context)))
        )
        return context
    }

    private func roundTrip(_ context: Context) async throws -> Duration {
        var times: [Duration] = []
        for _ in 0..<101 { times.append(try await context.ping()) }
        return times.sorted()[50]
    }

    private func call(_ context: Context) async throws {
        heading("2. Typed tasks: a Swift value goes there and runs, its result or its error comes back")
        let start = ContinuousClock.now
        let answer = try await context.call(CountPrimes(below: 1_000_000))
        let time = Format.duration(ContinuousClock.now - start)
        tell(
            "CountPrimes(below: 1_000_000)  →  \(good("\(answer.count)")), the largest is \(answer.largest)  "
                + "(process \(answer.processID), \(time))"
        )
        do {
            let content = try await context.call(OpenVault(code: 7))
            tell("OpenVault(code: 7)  →  \(content)")
        } catch let error as OpenVault.Locked {
            tell(
                "OpenVault(code: 7)             →  throws \(output.style.bad("OpenVault.Locked")), caught as itself: "
                    + "attemptsLeft is \(error.attemptsLeft)")
        }
    }

    private func command(_ context: Context) async throws {
        heading("3. Commands: live lines from both outputs, and how it ended")
        let script =
            "for i in 1 2 3; do echo \"line $i\"; sleep 0.3; done; echo 'something to complain about' >&2; exit 3"
        explain("$ \(script)")
        let start = ContinuousClock.now
        let result = try await context.run(script) { [self] line in
            let time = Format.duration(ContinuousClock.now - start).leftPadded(to: 8)
            tell(
                "\(output.style.faint(time))  \(line.pipe == .output ? "stdout" : output.style.bad("stderr"))  \(line.text)"
            )
        }
        tell("→  \(output.style.bad("\(result.termination)")): a result, not an error")
    }

    private func many(_ controller: Controller) async throws {
        heading("4. Twenty contexts at once")
        let start = ContinuousClock.now
        let answers = try await withThrowingTaskGroup(of: (Int32, Int).self) { group in
            for index in 1...20 {
                group.addTask {
                    try await controller.withContext(.local) { context in
                        let answer = try await context.call(CountPrimes(below: 1000 * index))
                        return (answer.processID, answer.count)
                    }
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        let time = ContinuousClock.now - start
        tell(
            "\(answers.count) processes started, each ran a task and ended again, in \(good(Format.duration(time))): "
                + "\(Format.duration(time / 20)) each"
        )
    }

    // MARK: ssh

    private func ssh(_ controller: Controller, _ local: Context) async throws -> Int32 {
        heading("5. The same over ssh, to a machine where nothing is installed")
        if let obstacle = try await DemoServer.obstacle(local) {
            tell(output.style.warning("left out: \(obstacle)"))
            return ExitStatus.success
        }
        do {
            try await DemoServer.with(local) { [self] server in
                explain("a throw-away sshd on 127.0.0.1:\(server.port) with an empty home plays the far machine")
                try await visit(controller, server, "cold")
                try await visit(controller, server, "warm")
            }
            return ExitStatus.success
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            tell(output.style.bad("failed: ") + HarmlessText.of("\(error)", keepsLines: true))
            return ExitStatus.failed
        }
    }

    private func visit(_ controller: Controller, _ server: DemoServer, _ name: String) async throws {
        try await controller.withContext(server.connector) { context in
            let timings = context.timings
            let sent =
                timings.wasCached
                ? "the program was in the cache there: nothing sent"
                : "the program was not there: \(Format.bytes(timings.bytesSent)) sent"
            tell("\(name)  connected in \(good(Format.duration(timings.total))); \(sent)")
            let authentication = timings.phases[.reach, default: .zero] + timings.phases[.authenticate, default: .zero]
            explain(
                "      of that, ssh itself \(Format.duration(authentication)), "
                    + "the agent's start \(Format.duration(timings.total - authentication))"
            )
            let start = ContinuousClock.now
            let answer = try await context.call(CountPrimes(below: 1_000_000))
            let time = Format.duration(ContinuousClock.now - start)
            tell(
                "      CountPrimes(below: 1_000_000)  →  \(good("\(answer.count)"))  (process \(answer.processID), \(time))"
            )
            guard timings.wasCached else { return }
            let result = try await context.run("echo \"$USER at home in $HOME\"")
            tell("      echo \"$USER at home in $HOME\"  →  \(HarmlessText.of(result.lines.first ?? ""))")
        }
    }

    private func good(_ text: String) -> String { output.style.good(text) }
}
