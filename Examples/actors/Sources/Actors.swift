import Distributed
@preconcurrency import Glibc
import Martlet
import MartletActors
import MartletFleet

/// Has the jobs, and lives in this program. Workers call it from their machines, as they were given a reference to it;
/// nobody else can.
distributed actor JobQueue {
    typealias ActorSystem = MartletActorSystem

    private var waiting: ArraySlice<String>
    private var underWay: [String: String] = [:]
    private var failed = 0

    init(_ jobs: [String], actorSystem: MartletActorSystem) {
        (self.actorSystem, waiting) = (actorSystem, jobs[...])
    }

    /// The next job for a worker; `nil` when there is none.
    distributed func next(for worker: String) -> String? {
        underWay[worker] = waiting.popFirst()
        return underWay[worker]
    }

    /// A worker has done its job.
    distributed func finish(_ report: Report) {
        underWay[report.worker] = nil
        if !report.succeeded { failed += 1 }
        print("[\(report.worker)] \(report.job): \(report.end)")
        for line in report.output.split(separator: "\n") { print("    \(line)") }
    }

    /// A worker is lost: what it had is for another one.
    distributed func takeBack(from worker: String) {
        if let job = underWay.removeValue(forKey: worker) { waiting.append(job) }
    }

    distributed var left: Int { waiting.count }
    distributed var failures: Int { failed }
}

struct Report: Codable, Sendable {
    var worker: String
    var job: String
    var succeeded: Bool
    var end: String
    var output: String
}

/// Lives on another machine, in a copy of this program, and takes jobs from the queue until there are none.
distributed actor Worker: RemoteActor {
    typealias ActorSystem = MartletActorSystem

    /// What one is made of: an actor is a value to others.
    struct Configuration: Codable, Sendable {
        var name: String
        var queue: JobQueue
    }

    private let name: String
    private let queue: JobQueue

    init(_ configuration: Configuration, actorSystem: MartletActorSystem) {
        (self.actorSystem, name, queue) = (actorSystem, configuration.name, configuration.queue)
    }

    /// - Returns: how many jobs it has done.
    distributed func work() async throws -> Int {
        // Jobs run in a process below: one that kills its parent does not take the worker along.
        let shell = try await actorSystem.context.connect(.local)
        var options = CommandOptions()
        options.outputLimit = 64 << 10
        var count = 0
        while let job = try await queue.next(for: name) {
            let result = try await shell.run(job, options: options)
            try await queue.finish(
                Report(
                    worker: name, job: job, succeeded: result.succeeded, end: "\(result.termination)",
                    output: result.text + result.errorText))
            count += 1
        }
        await shell.close()
        return count
    }
}

@main struct Actors {
    static func main() async {
        let hosts = Array(CommandLine.arguments.dropFirst())
        guard !hosts.isEmpty, !hosts.contains("--help") else {
            print("usage: actors HOST... < JOBS     a line of shell each; whichever host is free takes the next")
            exit(64)
        }
        let jobs = Array(AnyIterator { readLine() })
        do {
            let undone = try await withMartlet { martlet in
                let queue = JobQueue(jobs, actorSystem: martlet.actorSystem)
                var crew = try martlet.group(hosts)
                repeat {
                    let results = try await crew.each { context, host in
                        do {
                            let worker = try await context.spawn(
                                Worker.self, Worker.Configuration(name: host.name, queue: queue))
                            return try await worker.work()
                        } catch {
                            try await queue.takeBack(from: host.name)
                            throw error
                        }
                    }
                    for (host, count) in results.successes { print("\(host) did \(count)") }
                    for (host, error) in results.failures { fputs("actors: \(host): \(error)\n", stderr) }
                    crew = results.succeeded
                } while try await queue.left > 0 && !crew.isEmpty
                return try await queue.left + queue.failures
            }
            print("\(jobs.count - undone) of \(jobs.count) jobs succeeded")
            exit(undone == 0 ? 0 : 1)
        } catch {
            fputs("actors: \(error)\n", stderr)
            exit(1)
        }
    }
}
