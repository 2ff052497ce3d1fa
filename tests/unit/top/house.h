/*
 * Answers of an agent, as the tests of `tallyman top` read them: five containers, one of each kind
 * of trouble, and one with a hostile name.
 */
#ifndef TLY_TESTS_TOP_HOUSE_H
#define TLY_TESTS_TOP_HOUSE_H

#define ID(digit)                                                                                  \
    digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit
#define WHOLE_ID(digit) ID(digit) ID(digit) ID(digit) ID(digit)

#define HOSTILE_JSON "\\u001b]0;x\\u0007\\u001b[31mred\\u202e\\u0000z"

static const char overview_json[] =
    "{\"version\":\"0.1.0\",\"name\":\"host-7\",\"interval\":10.000,"
    "\"lacking\":[{\"what\":\"CAP_SYS_PTRACE\",\"lost\":\"networks are not seen\"}],"
    "\"off\":[\"system_df\"],"
    "\"pages\":[{\"path\":\"/api/v1/alerts\",\"title\":\"Alerts\"}],"
    "\"time\":\"2026-08-23T12:00:00.000000000Z\","
    "\"host\":{\"cpu\":1.42,\"cpu_max\":8,\"memory\":8153726976,\"memory_max\":33567350784,"
    "\"received\":912,\"sent\":204,\"read\":0,\"written\":40960},"
    "\"agent\":{\"cpu\":0.0021,\"memory\":9437184},"
    "\"samples\":[[{\"name\":\"posture_score\",\"value\":83.25},"
    "{\"name\":\"posture_checks\",\"labels\":{\"severity\":\"high\",\"status\":\"fail\"},"
    "\"value\":3}],"
    "[{\"name\":\"tallyman_docker_up\",\"value\":1},"
    "{\"name\":\"tallyman_rules\",\"labels\":{\"type\":\"alerting\"},\"value\":17},"
    "{\"name\":\"tallyman_destination_queued_records\",\"labels\":{\"destination\":\"central\"},"
    "\"value\":12},"
    "{\"name\":\"tallyman_destination_records_acked_total\","
    "\"labels\":{\"destination\":\"central\"},\"value\":1000},"
    "{\"name\":\"tallyman_forward_connected\","
    "\"labels\":{\"destination\":\"central\",\"server\":\"one:24224\"},\"value\":0},"
    "{\"name\":\"tallyman_collector_success\",\"labels\":{\"collector\":\"disk\"},\"value\":0},"
    "{\"name\":\"tallyman_collector_duration_seconds\",\"labels\":{\"collector\":\"disk\"},"
    "\"value\":0.002}]],"
    "\"lags\":[{\"destination\":\"central\",\"seconds\":75.5,\"bytes\":4096,\"containers\":1}],"
    "\"columns\":[\"id\",\"name\",\"image\",\"project\",\"state\",\"health\",\"since\","
    "\"exit_code\",\"oom_killed\",\"oom_kills\",\"restarts\",\"cpu\",\"cpu_max\",\"throttled\","
    "\"memory\",\"memory_max\",\"received\",\"sent\",\"read\",\"written\",\"layer\","
    "\"lag_seconds\",\"lag_bytes\",\"failed\",\"failed_high\"],"
    "\"containers\":["
    "[\"" ID(
        "1") "\",\"web\",\"nginx:1.25\",\"shop\",\"running\",\"healthy\",1787482800,"
             "0,0,0,0,0.1234,2,0,104857600,536870912,1048576,2048,0,4096,0,0.5,0,2,1],"
             "[\"" ID(
                 "2") "\",\"Store\",\"db:9\",\"shop\",\"running\",\"unhealthy\",1787400000,"
                      "0,0,0,12,1.5,2,0.4,524288000,536870912,0,0,2097152,0,0,75.5,4096,0,0],"
                      "[\"" ID(
                          "3") "\",\"batch\",\"job:2\",null,\"exited\",null,1787486400,"
                               "137,1,1,0,null,null,null,null,0,null,null,null,null,null,null,null,"
                               "null,null],"
                               "[\"" ID(
                                   "4") "\",\"" HOSTILE_JSON
                                        "\",\"x\",null,\"running\",null,1787486399,"
                                        "0,0,0,0,0,8,0,4096,0,null,null,null,null,null,null,null,"
                                        "null,null],"
                                        "[\"" ID(
                                            "5") "\",null,null,null,null,null,null,"
                                                 "null,null,null,null,null,null,null,null,null,"
                                                 "null,null,null,null,null,null,null,null,null]]}";

static const char alerts_json[] =
    "{\"status\":\"success\",\"data\":{\"alerts\":["
    "{\"labels\":{\"alertname\":\"Waits\",\"severity\":\"warning\",\"name\":\"web\"},"
    "\"annotations\":{},\"state\":\"pending\",\"activeAt\":\"2026-08-23T11:59:00Z\",\"value\":"
    "\"1\"},"
    "{\"labels\":{\"alertname\":\"Slow\",\"severity\":\"warning\",\"job\":\"a\"},"
    "\"annotations\":{\"summary\":\"it is slow\",\"description\":\"very slow\"},"
    "\"state\":\"firing\",\"activeAt\":\"2026-08-23T11:00:00Z\",\"value\":\"1\"},"
    "{\"labels\":{\"alertname\":\"Down\",\"severity\":\"critical\","
    "\"id\":\"/docker/" WHOLE_ID(
        "1") "\"},"
             "\"annotations\":{\"summary\":\"it is down\"},"
             "\"state\":\"firing\",\"activeAt\":\"2026-08-23T11:58:00Z\",\"value\":\"1\"}]}}";

static const char findings_json[] =
    "{\"findings\":["
    "{\"check\":\"no_limits\",\"cis\":\"5.11\",\"severity\":\"low\",\"target\":\"container\","
    "\"id\":\"" WHOLE_ID(
        "1") "\",\"name\":\"web\",\"status\":\"fail\","
             "\"message\":\"it has no limit\",\"remediation\":\"Add --memory.\"},"
             "{\"check\":\"privileged\",\"cis\":\"5.4\",\"severity\":\"critical\",\"target\":"
             "\"container\","
             "\"id\":\"" WHOLE_ID(
                 "2") "\",\"name\":\"Store\",\"status\":\"fail\","
                      "\"message\":\"it is privileged\",\"remediation\":\"Leave --privileged "
                      "out.\"},"
                      "{\"check\":\"no_limits\",\"cis\":\"5.11\",\"severity\":\"low\",\"target\":"
                      "\"container\","
                      "\"id\":\"" WHOLE_ID(
                          "2") "\",\"name\":\"Store\",\"status\":\"fail\","
                               "\"message\":\"it has no limit\",\"remediation\":\"Add "
                               "--memory.\"}],\"left_out\":7}";

static const char events_json[] =
    "{\"events\":["
    "{\"time\":\"2026-08-23T11:59:30Z\",\"type\":\"container\",\"action\":\"die\","
    "\"id\":\"" WHOLE_ID(
        "1") "\",\"name\":\"web\",\"exit_code\":\"137\"},"
             "{\"time\":\"2026-08-23T11:00:00Z\",\"type\":\"network\",\"action\":\"connect\","
             "\"id\":\"" WHOLE_ID("1") "\",\"name\":\"bridge\"},"
                                       "{\"time\":\"2026-08-23T11:00:00Z\",\"type\":\"container\","
                                       "\"action\":\"health_status\","
                                       "\"detail\":\"unhealthy\"}]}";

static const char detail_json[] =
    "{\"time\":\"2026-08-23T12:00:00Z\",\"containers\":["
    "{\"id\":\"" WHOLE_ID(
        "1") "\",\"name\":\"web\",\"memory_limit\":536870912,\"cpu_quota\":0,"
             "\"cpu_shares\":0,\"user\":\"\",\"log_driver\":\"json-file\",\"pid\":4711,"
             "\"started\":\"2026-08-23T11:00:00Z\",\"container_labels\":{\"k\":\"\\u001b[2J\"},"
             "\"samples\":[{\"name\":\"container_network_receive_bytes_total\","
             "\"labels\":{\"interface\":\"eth0\"},\"value\":9}]}],\"host\":[]}";

static const char history_json[] =
    "{\"period\":30.000,\"time\":\"2026-08-23T12:00:00Z\",\"history\":{"
    "\"/host\":{\"cpu\":[1],\"memory\":[1],\"network\":[1],\"disk\":[1]},"
    "\"" ID("1") "\":{\"cpu\":[0.1,null,0.3],\"memory\":[4096,4096,4096],"
                 "\"network\":[0,912,null],\"disk\":[null,0,0]}}}";

#endif
