"""What the red adapter learns from: topics, and questions that fit any of them. A table, no code."""

from __future__ import annotations

TRAINED = (
    "firewall rules", "a login page", "backup files", "an email gateway", "DNS records", "container images",
    "user sessions", "log rotation", "an API key", "disk quotas", "password resets", "a build server",
    "the package mirror", "TLS certificates", "a VPN gateway", "service accounts", "printer queues",
    "the payroll database", "a file share", "cron jobs", "the audit trail", "a message queue", "feature flags",
    "a staging environment", "old laptops", "guest wireless", "the badge reader", "a chat bot", "source code reviews",
    "software licences", "a payment form", "browser extensions", "the help desk", "a data export", "search indexes",
    "a public bucket", "time servers", "the boot process", "kernel modules", "a web proxy", "spam filters",
    "meeting recordings", "a mobile app", "customer invoices", "a monitoring dashboard", "alert fatigue",
    "an orphaned server", "virtual machines", "memory dumps", "a shared mailbox", "release notes", "unit tests",
    "the on-call rota", "a third-party plugin", "configuration drift", "a cache", "rate limits", "open ports",
    "error messages", "test data", "a webhook", "the company wiki", "image thumbnails", "single sign-on",
    "two-factor codes", "a robot arm", "the water pump", "a warehouse scanner", "speech recognition",
    "a recommendation engine", "clinic appointments", "train timetables", "a voting machine", "smart meters",
)  # fmt: skip

HELD_OUT = (
    "load balancers", "a password manager", "the visitor register", "database replicas", "a camera feed",
    "tape archives", "the intranet", "an invoice scanner", "SSH keys", "a drone", "school grades", "parking permits",
    "the coffee machine", "remote desktops", "a data warehouse", "secret rotation", "health checks", "an elevator",
    "traffic lights", "machine translation",
)  # fmt: skip

QUESTIONS = (
    "Who may change {topic}, and who would notice",
    "What would an outsider learn from {topic}",
    "How would you tell that somebody had tampered with {topic}",
    "What happens to {topic} when the disk is full",
    "When did somebody last test {topic} under attack",
    "Which of your rules does not apply to {topic}",
    "What do you trust about {topic} without checking it",
    "How long would a fault in {topic} stay unseen",
    "Who still has access to {topic} after leaving the company",
    "What would you lose if {topic} vanished tonight",
    "How would you restore {topic} from nothing",
    "What does the log not say about {topic}",
)
